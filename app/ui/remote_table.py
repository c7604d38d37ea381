"""Rows that come a page at a time, looked for by the service and not in what the browser has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from app.ui.session import PageState

Json = dict[str, Any]
# The rows that fit the filters, from the newest on, or those that follow the row of an id; at most a page of them.
Look = Callable[[dict[str, str], str | None], Awaitable[list[Json]]]


class RemoteTable(PageState, mixin=True):
    """Mixed into the state of a page that shows such a table. ``active`` are the filters, ``rows`` what fits them."""

    rows: list[Json] = []
    active: dict[str, str] = {}
    has_more: bool = False


async def fill(state: RemoteTable, active: dict[str, str], look: Look, page: int) -> None:
    """Show the newest rows that fit ``active``; skeletons until then, where something else was looked for before."""
    async with state:
        state.loaded = state.loaded and state.active == active
        state.active = active
    rows = await look(active, None)
    async with state:
        state.rows, state.has_more, state.loaded = rows, len(rows) == page, True


async def fill_more(state: RemoteTable, look: Look, page: int) -> None:
    """Add the rows after what is shown, unless something else was looked for meanwhile."""
    rows, active = state.rows, dict(state.active)
    last = rows[-1]["id"] if rows else None
    found = await look(active, last)
    async with state:
        if state.active == active and state.rows and state.rows[-1]["id"] == last:
            state.rows = [*state.rows, *found]
            state.has_more = len(found) == page
