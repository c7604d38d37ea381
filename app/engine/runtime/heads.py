"""Calling the batches whose rows have ended, a few times a second however many rows end.

It is not part of the transaction that ends a row: thousands of them would stand in line for the one place that their
batch has in the queue, and each would have it count its rows. What a dying worker does not tell any more, the batch
sees when it looks by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from app.data.session import tenant_session
from app.engine.runtime.waking import wake_run

log = structlog.get_logger(__name__)

_COALESCED_S = 0.25
_AGAIN_AFTER_S = 2.0


class Heads:
    """Gathers the batches of rows that have ended. ``wake`` asks a worker to look."""

    def __init__(self, wake: Callable[[], Awaitable[None]]) -> None:
        self._wake = wake
        self._waiting: dict[tuple[UUID, UUID], None] = {}
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def row_ended(self, client_id: UUID, head: UUID) -> None:
        """A row of the batch ``head`` has ended, and that is committed."""
        self._waiting[(client_id, head)] = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._call_all(), name="heads")

    async def aclose(self) -> None:
        """Call those that are still to be called, and no more."""
        self._closing.set()
        if self._task:
            await self._task

    async def _call_all(self) -> None:
        while self._waiting:
            called, self._waiting = self._waiting, {}
            try:
                for client_id, head in called:
                    async with tenant_session(client_id) as session:
                        await wake_run(session, client_id, head)
                await self._wake()
            except Exception as error:
                log.warning("heads.not_called", batches=len(called), error=type(error).__name__)
                if self._closing.is_set():
                    return
                self._waiting = {**called, **self._waiting}
                await self._pause(_AGAIN_AFTER_S)
            else:
                await self._pause(_COALESCED_S)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass
