"""Following something for as long as the page is open and the reader may see it.

What happens by itself does not count as use of the session: a page that is left open does not keep somebody signed in.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import reflex as rx

from app.core.context import Context
from app.ui.guard import address_of, current_context
from app.ui.links import links

ASK_AGAIN_AFTER_S = 15.0
T = TypeVar("T")
_END: Any = object()


class _Page:
    """The page that is open when something begins to be followed."""

    def __init__(self, state: rx.State) -> None:
        self._state = state
        self._connection = state.router.session.session_id
        self._address = address_of(state)

    async def is_left(self) -> bool:
        """Whether its tab has gone, or shows another page: what is known of the address is read anew."""
        if not links.is_open(self._connection):
            return True
        async with self._state:
            return address_of(self._state) != self._address


async def while_open(state: rx.State, resolve: Callable[..., Awaitable[T]], every_s: float) -> AsyncGenerator[T, None]:
    """Who looks, now and every ``every_s`` seconds, until the page is left.

    Raises NotSignedIn, Missing or Forbidden once they may not.
    """
    page = _Page(state)
    while True:
        yield await resolve(state, touch=False)
        await asyncio.sleep(every_s)
        if await page.is_left():
            return


def allowed(permission: str) -> Callable[..., Awaitable[Context]]:
    """For :func:`while_open`: the context of whoever has ``permission`` in the client of the address."""
    return functools.partial(current_context, permission=permission)


async def while_allowed(state: rx.State, permission: str, source: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """What ``source`` gives, until the page is left. Session and permission are asked for again every few seconds.

    Raises NotSignedIn, Missing or Forbidden once they were taken away.
    """
    page, asked = _Page(state), time.monotonic()
    coming = _next(source)
    try:
        while True:
            await asyncio.wait({coming}, timeout=ASK_AGAIN_AFTER_S)
            if time.monotonic() - asked >= ASK_AGAIN_AFTER_S:
                if await page.is_left():
                    return
                await current_context(state, permission, touch=False)
                asked = time.monotonic()
            if not coming.done():
                continue
            if (found := coming.result()) is _END:
                return
            yield found
            coming = _next(source)
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await coming
        await source.aclose()


def _next(source: AsyncGenerator[T, None]) -> asyncio.Task[T]:
    """The next of ``source`` as a task, which outlives a timeout; ``_END`` after the last."""
    return asyncio.ensure_future(anext(source, _END))  # type: ignore[arg-type]
