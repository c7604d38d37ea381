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


class Links:
    """At most ``most`` connections of one event loop, each opened by ``connect``; the one used last is taken first."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], most: int) -> None:
        self._connect = connect
        self._room = asyncio.Semaphore(most)
        self._idle: list[tuple[Connection, float]] = []

    @asynccontextmanager
    async def link(self) -> AsyncIterator[Connection]:
        """A connection for the length of the block. Raises psycopg.OperationalError where none can be opened."""
        async with self._room:
            connection, opened = await self._take()
            try:
                yield connection
            finally:
                if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                    self._idle.append((connection, opened))
                else:  # broken, or in the middle of something that was cancelled
                    await connection.close()

    async def _take(self) -> tuple[Connection, float]:
        while self._idle:
            connection, opened = self._idle.pop()
            if time.monotonic() - opened < _OLDEST_S and _is_quiet(connection):
                return connection, opened
            await connection.close()
        return await self._connect(), time.monotonic()

    async def close(self) -> None:
        """Close what waits; what is in use closes with its block's end."""
        while self._idle:
            await self._idle.pop()[0].close()


def _is_quiet(connection: Connection) -> bool:
    """Whether the server has said nothing while the connection waited: it does so only to end it."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
