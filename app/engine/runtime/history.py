"""History that has grown old goes to files and out of the database, in small bites, by the leading scheduler.

A bite is one transaction: the runs are locked, written to their month's file and to the disk, marked, their steps
removed through a door, and the audit trail told. A crash before the commit leaves a part in the file whose runs are not
marked; the next bite takes that part back first, once nobody holds those runs: a transaction whose commit nobody heard
of may still come to its end. The runs themselves stay, as rows without steps.

However large a run is, little of it is in memory at once: its steps go to the file as they are read.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.core.context import Context, system_actor
from app.core.ids import created_at, first_at
from app.data import doors
from app.data.repositories import audit
from app.data.retry import sqlstate
from app.data.session import CommitUnknown, tenant_session
from app.engine.runtime.archive import ArchiveBusy, Month, Part, opened

log = structlog.get_logger(__name__)

Json = dict[str, Any]
T = TypeVar("T")
_RUNS_A_BITE = 50
# No further run is begun beyond these. A run stays in one part, however large it is.
_EVENTS_A_BITE = 20_000
_BYTES_A_BITE = 64 << 20
# Read at once. An event holds an output of up to 5 MB.
_EVENTS_A_READ = 8
# Between two bites, so that what people wait for is served first.
_PAUSE_S = 0.2

_LOCKED = "55P03"

# Ended long enough ago, and nothing that goes on needs its steps: no run that was sealed by it, follows it or is a row
# of the same batch. What took it back can only be read beside them, and goes first.
_RIPE = """
SELECT r.id FROM runs r
 WHERE r.client_id = :client AND r.finished_at IS NOT NULL AND r.archived_at IS NULL
   AND r.finished_at < :until AND r.id < :after
   AND (r.parent IS NULL OR EXISTS (SELECT FROM runs h WHERE h.client_id = :client AND h.id = r.parent
                                       AND h.finished_at IS NOT NULL))
   AND r.id NOT IN (
       SELECT used.id FROM runs o, LATERAL unnest(ARRAY[o.of, o.sealed_plan, o.follows, o.parent]) AS used (id)
        WHERE o.client_id = :client AND o.outcome IS NULL AND used.id IS NOT NULL)
   AND NOT EXISTS (SELECT FROM runs u WHERE u.client_id = :client AND u.of = r.id AND u.archived_at IS NULL)
 ORDER BY r.id LIMIT :most FOR NO KEY UPDATE OF r SKIP LOCKED"""
_NEEDED = """
SELECT used.id FROM runs o, LATERAL unnest(ARRAY[o.of, o.sealed_plan, o.follows, o.parent]) AS used (id)
 WHERE o.client_id = :client AND o.outcome IS NULL AND used.id = ANY (:runs)"""
_RUN = """
SELECT jsonb_build_object('run', to_jsonb(r) || jsonb_build_object(
           'plan', (SELECT to_jsonb(p) FROM run_plans p WHERE p.client_id = :client AND p.run_id = :run)))::text
  FROM runs r WHERE r.client_id = :client AND r.id = :run"""
_EVENTS = """
SELECT jsonb_build_object('event', to_jsonb(e))::text FROM step_events e
 WHERE e.client_id = :client AND e.run_id = :run ORDER BY e.seq"""
_MARKED = "SELECT archived_at IS NOT NULL FROM runs WHERE client_id = :client AND id = ANY (:runs)"
_MARKED_FOR_CERTAIN = f"{_MARKED} ORDER BY id FOR NO KEY UPDATE NOWAIT"
_MARK = "UPDATE runs SET archived_at = now(), archive = :file WHERE client_id = :client AND id = ANY (:runs)"
_CHANGES = """
INSERT INTO archived_changes (client_id, target, run_id, seq, node, kind, at)
SELECT e.client_id, e.target, e.run_id, e.seq, e.node, e.payload -> 'change' ->> 'kind', e.at
  FROM step_events e WHERE e.client_id = :client AND e.run_id = ANY (:runs) AND e.target IS NOT NULL
ON CONFLICT DO NOTHING"""


async def keep_history(dsn: str, folder: Path, usual_days: int) -> None:
    """Archive what is old enough, of every client, and drop the months that are empty then. A client whose history
    cannot be archived (its month is written by somebody else, the folder is full, a row is not readable) is left for
    the next time.

    Raises CommitUnknown, sqlalchemy.exc.DBAPIError or psycopg.Error where the connection is lost.
    """
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        clients = await doors.history_clients(connection, usual_days)
        # In another order each time: a client whose history ends this process must not stand before the same others.
        for client_id, days in random.sample(clients, len(clients)):
            try:
                await _archive_client(client_id, folder, utcnow() - timedelta(days=days))
            except Exception as error:
                log.warning(
                    "history.not_archived",
                    client_id=str(client_id),
                    error=type(error).__name__,
                    sqlstate=sqlstate(error),
                )
                if _is_lost(error):
                    raise
        if dropped := await doors.drop_empty_partitions(connection):
            log.info("history.months_dropped", dropped=dropped)


def _is_lost(error: Exception) -> bool:
    """Whether the database is away, for every other client too."""
    if isinstance(error, DBAPIError):
        unanswered = isinstance(error.orig, psycopg.OperationalError) and sqlstate(error) is None
        return error.connection_invalidated or unanswered
    return isinstance(error, CommitUnknown)


async def _archive_client(client_id: UUID, folder: Path, until: datetime) -> None:
    done = await bite(client_id, folder, until)
    while done:
        await asyncio.sleep(_PAUSE_S)
        done = await bite(client_id, folder, until)


async def bite(client_id: UUID, folder: Path, until: datetime) -> int:
    """Archive the oldest runs of one month that ended before ``until``; gives their number, 0 where none is left.

    Raises ArchiveBusy, OSError; nothing is changed then.
    """
    values: Json = {"client": client_id, "until": until, "after": first_at(until + timedelta(days=1))}
    async with tenant_session(client_id) as session:
        oldest = await _ripe(session, **values, most=1)
    if not oldest:
        return 0
    month = created_at(oldest[0]).astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    values["after"] = min(values["after"], first_at((month + timedelta(days=32)).replace(day=1)))
    # Held until the commit is over: whoever comes next judges by what is committed whether the last part counts.
    with opened(folder, client_id, f"{month:%Y-%m}") as file:
        async with tenant_session(client_id) as session:
            await _settle_last(session, client_id, file)
            ripe = await _ripe(session, **values, most=_RUNS_A_BITE)
            return await _write(session, client_id, file, ripe) if ripe else 0


async def _ripe(session: AsyncSession, **values: Any) -> list[UUID]:
    """The oldest that may go, locked. Whoever starts from a run locks it too, so that the second look, at what has been
    started since the first one began, is the last that is needed."""
    found = await _column(session, _RIPE, **values)
    needed = set(await _column(session, _NEEDED, client=values["client"], runs=found)) if found else set()
    return [run for run in found if run not in needed]


async def _settle_last(session: AsyncSession, client_id: UUID, file: Month) -> None:
    """Take the last part back where its runs were never marked: its transaction did not come to its end.

    Raises ArchiveBusy while it still may: until it has, it holds its runs.
    """
    last: Json = {"client": client_id, "runs": file.last_runs}
    if not file.last_runs or any(await _column(session, _MARKED, **last)):
        return
    try:
        marked = await _column(session, _MARKED_FOR_CERTAIN, **last)
    except DBAPIError as error:
        if sqlstate(error) == _LOCKED:
            raise ArchiveBusy(f"{file.name}: runs of the last part are held") from error
        raise
    if marked and not any(marked):
        await _in_thread(file.forget_last)


async def _write(session: AsyncSession, client_id: UUID, file: Month, ripe: list[UUID]) -> int:
    with file.part() as part:
        for run in ripe:
            await _copy(session, client_id, run, part)
            if part.events >= _EVENTS_A_BITE or part.size >= _BYTES_A_BITE:
                break
        entry = await _in_thread(file.keep, part)
    taken = part.runs
    await _execute(session, _MARK, client=client_id, runs=taken, file=file.name)
    await _execute(session, _CHANGES, client=client_id, runs=taken)
    dropped = await doors.drop_history(session, taken)
    context = Context(client_id, "", system_actor("scheduler"), "system")
    details = {"file": file.name, "part": len(file.manifest["parts"]), "dropped": dropped, **entry}
    await audit.record(session, context, action="history_archived", target=f"archive:{file.name}", details=details)
    return len(taken)


async def _copy(session: AsyncSession, client_id: UUID, run: UUID, part: Part) -> None:
    [line] = await _column(session, _RUN, client=client_id, run=run)
    await _in_thread(part.add_run, run, line)
    async for lines in _streamed(session, _EVENTS, client=client_id, run=run):
        await _in_thread(part.add_events, lines)


async def _streamed(session: AsyncSession, statement: str, **values: Any) -> AsyncIterator[list[Any]]:
    """The one column of a query, a few rows at a time, by a cursor of the server's."""
    wanted = text(statement).execution_options(yield_per=_EVENTS_A_READ)
    async with (await session.connection()).stream(wanted, values) as result:
        async for rows in result.scalars().partitions(_EVENTS_A_READ):
            yield list(rows)


async def _in_thread(work: Callable[..., T], *values: Any) -> T:
    """Do what blocks, to its end even where we are cancelled: the month must not be let go while it is written."""
    doing = asyncio.ensure_future(asyncio.to_thread(work, *values))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise


async def _column(session: AsyncSession, statement: str, **values: Any) -> list[Any]:
    return list((await _execute(session, statement, **values)).scalars().all())


async def _execute(session: AsyncSession, statement: str, **values: Any) -> Any:
    return await (await session.connection()).execute(text(statement), values)
