"""Server-sent events: one reader's stream, as long as it may read, and not too many of them.

Session and permission are asked for again every quarter of a minute, whatever there is to send. Between messages a
comment keeps proxies from closing. A reader that does not take what is sent holds up its own stream and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from app.api.who import present_actor
from app.core.context import Actor, Context
from app.core.errors import Missing, NotSignedIn, OpsloomError, TooMany
from app.services import clients

MOST_STREAMS = 20
ASK_AGAIN_S = 15.0

_open: Counter[tuple[Any, ...]] = Counter()


def stream(
    request: Request, ctx: Context, name: str, source: AsyncGenerator[Any, None], shown: Callable[[Any], Any]
) -> StreamingResponse:
    """``source`` as events called ``name``; ``end`` comes last and says why. Raises TooMany for one stream too many."""
    if _open[_reader(ctx.actor)] >= MOST_STREAMS:
        message = f"No more than {MOST_STREAMS} streams of one session or token at a time."
        raise TooMany(message, code="too_many_streams", params={"retry_after": 5})
    return StreamingResponse(_body(request, ctx, name, source, shown), media_type="text/event-stream")


def _reader(actor: Actor) -> tuple[Any, ...]:
    return (actor.account_id, actor.via, actor.session_id)


async def _body(
    request: Request, ctx: Context, name: str, source: AsyncGenerator[Any, None], shown: Callable[[Any], Any]
) -> AsyncIterator[str]:
    reader = _reader(ctx.actor)
    _open[reader] += 1
    number, asked = 0, time.monotonic()
    following = asyncio.ensure_future(anext(source, None))
    try:
        while True:
            await asyncio.wait({following}, timeout=ASK_AGAIN_S)
            if time.monotonic() - asked >= ASK_AGAIN_S:
                asked = time.monotonic()
                if not await _still_allowed(request, ctx):
                    yield _message("end", {"reason": "signed_out"}, number + 1)
                    return
            if not following.done():
                yield ": still here\n\n"
                continue
            found = following.result()
            number += 1
            if found is None:
                yield _message("end", {"reason": "over"}, number)
                return
            yield _message(name, shown(found), number)
            following = asyncio.ensure_future(anext(source, None))
    finally:
        _open[reader] -= 1
        if not _open[reader]:
            del _open[reader]
        following.cancel()
        with suppress(asyncio.CancelledError, OpsloomError):
            await following
        await source.aclose()


async def _still_allowed(request: Request, ctx: Context) -> bool:
    """A session that was ended, or a role that was taken away, ends the stream."""
    try:
        present = await clients.enter(await present_actor(request), ctx.client_id)
    except (NotSignedIn, Missing):
        return False
    return "run.read" in present.permissions


def _message(name: str, data: object, number: int) -> str:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
