"""The scheduler: wakes what is due, fires triggers, frees what dead workers held, keeps partitions ahead, has the audit
trail signed. One leads.

Leadership is a lease row: an advisory lock would be lost behind a pooler that pools by transaction.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import UUID

import psycopg
import structlog

from app.core.ids import new_id
from app.core.process import code_version, process_name
from app.data import doors
from app.engine.runtime.signing import Signing

log = structlog.get_logger(__name__)

_EVERY_S = 1.0
_LEAD_TTL_S = 10.0
_UPKEEP_EVERY = 3600
_ARCHIVE_EVERY = 60
# Well under the lead's time to live, which is renewed between two rounds.
_TRIGGERS_WITHIN_S = 2.0
Wake = Callable[[], Awaitable[None]]
ServeTriggers = Callable[[Sequence[tuple[UUID, UUID | None]], float], Awaitable[bool]]
"""Fires what the door names, for so many seconds; True where something is left. Starting runs is the services' work."""

Archive = Callable[[], Awaitable[None]]


class Aside:
    """Slow work beside the rounds: one at a time, ended where the lead is lost."""

    def __init__(self, work: Archive) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._survive(), name="archive")

    async def _survive(self) -> None:
        """A fault there must not end the scheduler; it is tried again at the next turn."""
        try:
            await self._work()
        except Exception as error:
            log.warning("scheduler.archive_failed", error=type(error).__name__)

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None


async def keep_time(dsn: str, wake: Wake, serve_triggers: ServeTriggers, archive: Archive) -> None:
    """Run until SIGTERM or SIGINT; a database that is away is waited for.

    ``archive`` moves old history out of the database, for as long as that takes; it is called by the leader.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    log.info("scheduler.ready")
    while not stopping.is_set():
        try:
            connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=None)
            connection.add_notice_handler(_told)
            async with connection:
                await _serve(connection, wake, serve_triggers, Aside(archive), stopping)
        except psycopg.Error as error:
            log.warning("scheduler.database_away", error=type(error).__name__)
            await _pause(stopping)
    log.info("scheduler.stopped")


async def _serve(
    connection: psycopg.AsyncConnection,
    wake: Wake,
    serve_triggers: ServeTriggers,
    aside: Aside,
    stopping: asyncio.Event,
) -> None:
    holder, rounds, signing = new_id(), 0, Signing()
    await doors.register_worker(connection, holder, process_name(), "scheduler", _LEAD_TTL_S, code_version())
    try:
        while not stopping.is_set():
            if not await doors.renew_worker(connection, holder, _LEAD_TTL_S):
                return
            busy = False
            if await doors.take_lead(connection, "scheduler", holder, _LEAD_TTL_S) is not None:
                await _lead(connection, wake, rounds)
                await signing.turn(connection)
                busy = await _fire(connection, serve_triggers)
                if rounds % _ARCHIVE_EVERY == 0:
                    aside.begin()
                rounds += 1
            else:
                await aside.end()
            if not busy:
                await _pause(stopping)
        await doors.drop_worker(connection, holder)
    finally:
        await aside.end()


async def _lead(connection: psycopg.AsyncConnection, wake: Wake, rounds: int) -> None:
    if rounds % _UPKEEP_EVERY == 0:
        await _keep_partitions(connection)
    reaped = await doors.reap_dead_workers(connection)
    timers = await doors.due_timers(connection)
    if reaped.runs:
        log.warning("scheduler.workers_died", workers=reaped.workers, runs=reaped.runs)
    if reaped.runs or timers.promoted:
        await wake()


async def _keep_partitions(connection: psycopg.AsyncConnection) -> None:
    """Make the months to come. What goes wrong there is told, and must not keep the scheduler from all else: steps of a
    month that is not there have a place."""
    try:
        made = await doors.maintain_partitions(connection)
    except psycopg.Error as error:
        if connection.closed:
            raise
        log.warning("scheduler.partitions_failed", error=type(error).__name__, sqlstate=error.sqlstate)
    else:
        log.info("scheduler.partitions", made=made)


def _told(notice: psycopg.errors.Diagnostic) -> None:
    """What a door warns of."""
    log.warning("scheduler.database_notice", severity=notice.severity_nonlocalized, message=notice.message_primary)


async def _fire(connection: psycopg.AsyncConnection, serve_triggers: ServeTriggers) -> bool:
    """Fire what is due. A fault there must not keep the scheduler from waking and reaping."""
    due = await doors.due_triggers(connection)
    try:
        return await serve_triggers(due, _TRIGGERS_WITHIN_S) if due else False
    except Exception as error:
        log.exception("scheduler.triggers_failed", error=type(error).__name__)
        return False


async def _pause(stopping: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_EVERY_S):
            await stopping.wait()
