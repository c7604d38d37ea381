"""The numbered messages to the browser.

A list var that changes is sent whole, and changes that come together may be seen as one. So the var holds only what the
browser has not confirmed yet; it applies each number once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from app.ui.guard import route_param

if TYPE_CHECKING:
    from app.builder.requests import Request
    from app.builder.state import BuilderState

Json = dict[str, Any]

# A browser that is gone confirms nothing; what it missed it gets anew when it opens the page again.
MOST_MESSAGES = 200


async def post(
    state: BuilderState,
    *messages: Json,
    request: Request | None = None,
    anew: bool = False,
    change: Callable[[BuilderState], None] | None = None,
) -> None:
    """Send ``messages``, and forget those that ``request`` says have arrived; ``anew``: all that were sent before.

    ``change`` is done to the state under the same lock: taking it costs a journey to Redis. Call it outside
    ``async with state``.
    """
    workflow = route_param(state, "workflow")
    marked = tuple({**message, "workflow": workflow} for message in messages)
    async with state:
        if change:
            change(state)
        state.inbox = with_messages({} if anew else state.inbox, marked, request)


def with_messages(inbox: Json, messages: tuple[Json, ...], request: Request | None) -> Json:
    """``inbox`` after more messages. A series has an ``epoch`` of its own, as a state may be lost and begun anew."""
    kept = inbox or {"epoch": uuid4().hex, "last": 0, "messages": []}
    seen = request.seen if request and request.epoch == kept["epoch"] else 0
    left = [message for message in kept["messages"] if message["n"] > seen]
    numbered = [{**message, "n": kept["last"] + place} for place, message in enumerate(messages, start=1)]
    return {
        "epoch": kept["epoch"],
        "last": kept["last"] + len(messages),
        "messages": [*left, *numbered][-MOST_MESSAGES:],
    }
