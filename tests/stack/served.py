"""The web application as it is deployed, with one more address: which event handlers are still at work for a tab.

A handler that has nothing to say sends nothing, so that a test cannot hear from outside whether it is over. One that
follows something for as long as the page is open counts as over while it waits until it looks again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from app.app import app as opsloom
from app.ui import links, watch
from tests.stack.web import AT_WORK


class Waits:
    """What app/ui/watch.py takes for asyncio: the same, and it notes which tasks wait in it."""

    def __init__(self) -> None:
        self.waiting: set[Any] = set()
        self.sleep = self._noted(asyncio.sleep)
        self.wait = self._noted(asyncio.wait)

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def _noted(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            task = asyncio.current_task()
            self.waiting.add(task)
            try:
                return await call(*args, **kwargs)
            finally:
                self.waiting.discard(task)

        return run


waits = Waits()
# It stands in for a module, of which it is none.
watch.asyncio = waits  # type: ignore[assignment]
# A refused handler has an older connection opened anew instead of closing the page; a slow machine's is not old.
links.FRESH_S = 3600.0


def at_work(sid: str) -> list[str]:
    """The handlers of that connection's tab that are at work, and one entry for each, of any tab, yet to begin."""
    namespace: Any = opsloom.event_namespace
    processor: Any = opsloom.event_processor
    token = namespace.sid_to_token[sid]
    begun = [task.get_name() for task in processor._tasks.values() if not task.done() and task not in waits.waiting]
    return ["(to begin)"] * processor._queue.qsize() + [name for name in begun if f"|{token}|" in name]


def app() -> Any:
    """What the server serves."""
    inner = opsloom()

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != AT_WORK:
            await inner(scope, receive, send)
            return
        sid = parse_qs(scope["query_string"].decode())["sid"][0]
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(at_work(sid)).encode()})

    return serve
