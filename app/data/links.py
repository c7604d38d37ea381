"""Connections that wait for their next round trip: for what is a whole transaction in one.

SQLAlchemy's pool gives a connection back with a rollback, psycopg's looks after each in several ways; around a
statement of a tenth of a millisecond, that is most of the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from app.data.link import Link

_OLDEST_S = 1800.0


class Links:
    """At most ``most`` connections of one event loop, each opened by ``connect``; the one used last is taken first."""

    def __init__(self, connect: Callable[[], Awaitable[Link]], most: int) -> None:
        self._connect = connect
        self._room = asyncio.Semaphore(most)
        self._idle: list[Link] = []

    def link(self) -> Borrowed:
        """A connection for the length of a block (``async with``). Raises psycopg.OperationalError where none can be
        opened."""
        return Borrowed(self)

    async def take(self) -> Link:
        """A connection that :meth:`give` is to be given."""
        await self._room.acquire()
        try:
            while self._idle:
                link = self._idle.pop()
                if not link.lost and time.monotonic() - link.opened < _OLDEST_S and link.is_quiet:
                    return link
                await link.close()
            return await self._connect()
        except BaseException:
            self._room.release()
            raise

    async def give(self, link: Link) -> None:
        """Take a connection back; one that is broken, or in the middle of something that was cancelled, is closed."""
        try:
            if link.lost:
                await link.close()
            else:
                self._idle.append(link)
        finally:
            self._room.release()

    async def close(self) -> None:
        """Close what waits; what is in use closes with its block's end."""
        while self._idle:
            await self._idle.pop().close()


class Borrowed:
    """A connection for the length of a block. A class, as a generator takes a tenth of a statement's time."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def __aenter__(self) -> Link:
        self._link = await self._links.take()
        return self._link

    async def __aexit__(self, *_: object) -> None:
        await self._links.give(self._link)
