"""A connection on which statements that make one transaction go to the server together, past psycopg's cursors.

Around a statement of a tenth of a millisecond, a cursor and waiting for it take most of the time. What is here is
libpq's pipeline mode as psycopg wraps it (:mod:`psycopg.pq`): what lies between two of its synchronisations is one
transaction, and the answer to all of it is awaited once, by a reader of the socket that stays in place. Values go in
and come out as psycopg adapts them.
"""

from __future__ import annotations

import asyncio
import re
import select
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult

from app.data.awake import Awake

Connection = psycopg.AsyncConnection[Any]
Rows = list[tuple[Any, ...]]
Values = Sequence[Any]
_Key = tuple[bytes, tuple[int, ...]]

# Statements are few and do not change; whoever makes them up on the way shall not fill the server's memory.
_MOST_PREPARED = 200
_CANCEL_S = 2.0
# So long after it was asked a connection looks for an answer that the loop has not told of.
_LOOK_S = 1.0
_PLACEHOLDER = re.compile(r"%(.)", re.DOTALL)
# What the server has prepared does not fit any more (a migration went by), or is not there.
_STALE = frozenset({"0A000", "26000"})


class Answer:
    """The rows of one statement, fetched as from a cursor of psycopg's."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def fetchone(self) -> tuple[Any, ...] | None:
        """The first row."""
        return self._rows[0] if self._rows else None

    async def fetchall(self) -> Rows:
        """All rows."""
        return self._rows


class _Sending(NamedTuple):
    """A statement as libpq takes it."""

    statement: bytes
    values: Sequence[Any]
    types: tuple[int, ...]
    formats: Any

    @property
    def key(self) -> _Key:
        """What the server would have to have prepared."""
        return self.statement, self.types


class Link:
    """``connection``, which is in autocommit and belongs to the running event loop and to us from now on.
    ``prepares``: the server keeps statements prepared. ``awake`` is told of what is waited for."""

    def __init__(self, connection: Connection, *, prepares: bool, awake: Awake | None = None) -> None:
        self.opened = time.monotonic()
        self._connection = connection
        self._pgconn = connection.pgconn
        self._adapt = Transformer(connection)
        self._prepared: dict[_Key, bytes] = {}
        self._prepares = prepares
        self._names = count()
        self._loop = asyncio.get_running_loop()
        self._awake = awake or Awake(0)
        self._socket = self._pgconn.socket
        self._heard: asyncio.Future[None] | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._asking = False
        self._lost: psycopg.Error | None = None
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._pgconn.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._hear)

    @property
    def lost(self) -> bool:
        """Whether the server is gone, or nobody knows what it would say next."""
        return self._lost is not None or self._asking

    @property
    def is_quiet(self) -> bool:
        """Whether the server has said nothing since it was asked last. It does so only to end the connection."""
        return not self._poll.poll(0)

    async def execute(self, statement: str, values: Values = ()) -> Answer:
        """One statement as a transaction of its own. Raises as :meth:`trip`."""
        return Answer((await self.trip([(statement, values)]))[0])

    async def trip(self, asks: Sequence[tuple[str, Values]]) -> tuple[Rows, ...]:
        """The rows of each statement (with psycopg's ``%s``), done in one transaction and one round trip.

        Raises psycopg.Error where one of them is refused, and none is done then. Where the connection was lost before
        the answer came, that is psycopg.OperationalError, :attr:`lost` says so, and nobody knows what was done.
        """
        if self._lost:
            raise self._lost
        sendings = [self._adapted(statement, values) for statement, values in asks]
        self._asking = True
        self._look_later()
        fresh: dict[_Key, bytes] = {}
        # Of each answer that will come, whether it is of a statement that was asked for.
        expected = [kind for sending in sendings for kind in self._send(sending, fresh)]
        self._pgconn.pipeline_sync()
        self._awake.begin()
        try:
            await self._flush()
            rows, refused = await self._answers(expected)
        finally:
            self._awake.end()
        self._asking = False
        if refused is None:
            self._prepared.update(fresh)
            return tuple(rows)
        if refused.sqlstate in _STALE:
            self._prepared.clear()
        raise refused

    async def close(self) -> None:
        """Close it. What the server is in the middle of is cancelled."""
        if not self._lost:
            # A lost one has stopped to listen: its socket's number may be another connection's by now.
            self._loop.remove_reader(self._socket)
        if self._looking:
            self._looking.cancel()
        if self._asking and not self._lost:
            with suppress(psycopg.Error, OSError):
                await self._connection.cancel_safe(timeout=_CANCEL_S)
        self._lost = self._lost or psycopg.OperationalError("the connection is closed")
        await self._connection.close()

    def _adapted(self, statement: str, values: Values) -> _Sending:
        if not values:
            return _Sending(_numbered(statement), (), (), None)
        dumped = self._adapt.dump_sequence(values, [PyFormat.AUTO] * len(values))
        return _Sending(_numbered(statement), dumped, self._adapt.types or (), self._adapt.formats)

    def _send(self, sending: _Sending, fresh: dict[_Key, bytes]) -> list[bool]:
        """Send one statement, and before it, where the server is to keep it prepared, that it does (``fresh``)."""
        statement, values, types, formats = sending
        name = self._prepared.get(sending.key) or fresh.get(sending.key)
        if name is None and (not self._prepares or len(self._prepared) + len(fresh) >= _MOST_PREPARED):
            self._pgconn.send_query_params(statement, values, types, formats)
            return [True]
        if name is None:
            name = fresh[sending.key] = b"opsloom_%d" % next(self._names)
            self._pgconn.send_prepare(name, statement, types)
            self._pgconn.send_query_prepared(name, values, formats)
            return [False, True]
        self._pgconn.send_query_prepared(name, values, formats)
        return [True]

    async def _answers(self, expected: Sequence[bool]) -> tuple[list[Rows], psycopg.Error | None]:
        """The rows of each statement, and why the server refused one of them."""
        rows: list[Rows] = []
        refused: psycopg.Error | None = None
        statements = iter(expected)
        while (result := await self._next_result(refused)).status != ExecStatus.PIPELINE_SYNC:
            asked_for = next(statements, False)
            if result.status == ExecStatus.TUPLES_OK:
                rows.append(self._loaded(result))
            elif result.status == ExecStatus.FATAL_ERROR:
                refused = refused or error_from_result(result)
            elif asked_for and result.status == ExecStatus.COMMAND_OK:
                rows.append([])
        return rows, refused

    def _loaded(self, result: PGresult) -> Rows:
        self._adapt.set_pgresult(result)
        rows: Rows = self._adapt.load_rows(0, result.ntuples, tuple)
        self._adapt.set_pgresult(None)
        return rows

    async def _next_result(self, refused: psycopg.Error | None) -> PGresult:
        """The next answer, whatever is between two of them. Raises what ended the connection."""
        while True:
            if self._lost:
                raise refused or self._lost
            if self._pgconn.is_busy():
                self._heard = self._loop.create_future()
                await self._heard
            elif result := self._pgconn.get_result():
                return result

    async def _flush(self) -> None:
        """Send what the socket did not take at once."""
        while not self._lost and self._pgconn.flush():
            writable: asyncio.Future[None] = self._loop.create_future()
            self._loop.add_writer(self._socket, _wake, writable)
            try:
                await writable
            finally:
                self._loop.remove_writer(self._socket)

    def _hear(self) -> None:
        """Take in what has come."""
        try:
            self._pgconn.consume_input()
        except psycopg.Error as error:
            self._lost = error
        if not self._asking or self._pgconn.status == ConnStatus.BAD:
            self._lost = self._lost or psycopg.OperationalError("the server has ended the connection")
        if self._lost:
            self._loop.remove_reader(self._socket)
        if self._heard and (self._lost or not self._pgconn.is_busy()):
            _wake(self._heard)

    def _look_later(self) -> None:
        """Look by ourselves a while from now, if the loop tells of nothing until then: an answer that it has missed
        would be waited for until the end of the process."""
        if self._looking is None:
            self._looking = self._loop.call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        self._looking = None
        if self._asking and not self._lost:
            if not self.is_quiet:
                self._hear()
            self._look_later()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@lru_cache(maxsize=_MOST_PREPARED)
def _numbered(statement: str) -> bytes:
    """The statement with the server's placeholders in the place of psycopg's. Raises ValueError for any but ``%s``."""
    number = count(1)

    def placed(found: re.Match[str]) -> str:
        if found[1] not in "s%":
            raise ValueError(f"no placeholder: {found[0]!r}")
        return f"${next(number)}" if found[1] == "s" else "%"

    return _PLACEHOLDER.sub(placed, statement).encode()
