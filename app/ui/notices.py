"""What is told to the person in front of a page, written into its state. Call these outside ``async with state``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from app.ui.session import SessionState

MOST_NOTICES = 5


async def tell(state: SessionState, key: str, *, kind: str = "success", href: str = "", **params: Any) -> None:
    """Show a toast: the text ``key`` with ``params``, and a link to ``href``."""
    await _notice(state, {"kind": kind, "key": key, "params": params, "href": href})


async def tell_problem(state: SessionState, problem: dict[str, Any]) -> None:
    """Show an error (problem+json) that stays until it is read."""
    await _notice(state, {"kind": "error", "problem": problem})


async def close_page(state: SessionState, reason: str) -> None:
    """Show the reason in place of the page: ``sign_in``, ``forbidden`` or ``not_found``."""
    async with state:
        state.gate = reason


async def clear_for(state: SessionState, address: str) -> None:
    """Forget what a page's state held for another address, so that no client's rows are seen in another's page.

    ``shown_for`` tells the browser so in the same message: until then it shows nothing of what it had.
    """
    page = state.get_full_name()
    if state.shown_for.get(page) == address and not state.gate:
        return
    async with state:
        if state.shown_for.get(page) != address:
            state.reset()
            state.shown_for = {**state.shown_for, page: address}
        state.gate = ""


async def _notice(state: SessionState, notice: dict[str, Any]) -> None:
    async with state:
        state.notices = [*state.notices, {"id": uuid4().hex, **notice}][-MOST_NOTICES:]
