"""Connections in autocommit that wait for their next statement: for what is a whole transaction in one round trip.

SQLAlchemy's pool gives a connection back with a rollback and speaks to it through a cursor of its own; around a
statement of a tenth of a millisecond, that is most of the time.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

Connection = psycopg.AsyncConnection[Any]
_OLDEST_S = 1800.0


class Link:
    """A connection with cursors that are used again: psycopg takes a fifth of a statement's time to make one."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.opened = time.monotonic()
        self._cursors: list[psycopg.AsyncCursor[Any]] = []

    def cursors(self, count: int) -> list[psycopg.AsyncCursor[Any]]:
        """As many cursors. What they held is gone, so whoever has the connection fetches before giving it back."""
        while len(self._cursors) < count:
            self._cursors.append(self.connection.cursor())
        return self._cursors[:count]


class Links:
    """At most ``most`` connections of one event loop, each opened by ``connect``; the one used last is taken first."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], most: int) -> None:
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
                if link.connection.pgconn.transaction_status == TransactionStatus.IDLE:
                    self._idle.append(link)
                else:  # broken, or in the middle of something that was cancelled
                    await link.connection.close()

    async def _take(self) -> Link:
        while self._idle:
            link = self._idle.pop()
            if time.monotonic() - link.opened < _OLDEST_S and _is_quiet(link.connection):
                return link
            await link.connection.close()
        return Link(await self._connect())

    async def close(self) -> None:
        """Close what waits; what is in use closes with its block's end."""
        while self._idle:
            await self._idle.pop().connection.close()


def _is_quiet(connection: Connection) -> bool:
    """Whether the server has said nothing while the connection waited: it does so only to end it."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
