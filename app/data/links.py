"""Connections that wait for their next round trip: for what is a whole transaction in one.

SQLAlchemy's pool gives a connection back with a rollback, psycopg's looks after each in several ways; around a
statement of a tenth of a millisecond, that is most of the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from app.data.link import Link

_OLDEST_S = 1800.0


class Links:
    """At most ``most`` connections of one event loop, each opened by ``connect``; the one used last is taken first."""

    def __init__(self, connect: Callable[[], Awaitable[Link]], most: int) -> None:
        self._connect = connect
        self._room = asyncio.Semaphore(most)
        self._idle: list[Link] = []

    @asynccontextmanager
    async def link(self) -> AsyncIterator[Link]:
        """A connection for the length of the block. Raises psycopg.OperationalError where none can be opened."""
        async with self._room:
            link = await self._take()
            try:
                yield link
            finally:
                if link.lost:  # broken, or in the middle of something that was cancelled
                    await link.close()
                else:
                    self._idle.append(link)

    async def _take(self) -> Link:
        while self._idle:
            link = self._idle.pop()
            if not link.lost and time.monotonic() - link.opened < _OLDEST_S and link.is_quiet:
                return link
            await link.close()
        return await self._connect()

    async def close(self) -> None:
        """Close what waits; what is in use closes with its block's end."""
        while self._idle:
            await self._idle.pop().close()
