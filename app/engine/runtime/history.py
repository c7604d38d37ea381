"""History that has grown old goes to files and out of the database, in small bites, by the leading scheduler.

A bite is one transaction: the runs are locked, written to their month's file and to the disk, marked, their steps
removed through a door, and the audit trail told. A crash before the commit leaves a part in the file whose runs are not
marked; the next bite takes that part back first. The runs themselves stay, as rows without steps.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.core.context import Context, system_actor
from app.core.ids import created_at, first_at
from app.data import doors
from app.data.repositories import audit
from app.data.session import tenant_session
from app.engine.runtime.archive import ArchiveBusy, Month, opened

log = structlog.get_logger(__name__)

Json = dict[str, Any]
_RUNS_A_BITE = 50
_EVENTS_A_BITE = 20_000
# Between two bites, so that what people wait for is served first.
_PAUSE_S = 0.2

# Ended long enough ago, and nothing that goes on needs its steps: no undo of it, no run that was sealed by it, follows
# it or is a row of the same batch.
_RIPE = """
SELECT r.id FROM runs r
 WHERE r.client_id = :client AND r.finished_at IS NOT NULL AND r.archived_at IS NULL
   AND r.finished_at < :until AND r.id < :after
   AND (r.parent IS NULL OR EXISTS (SELECT FROM runs h WHERE h.client_id = :client AND h.id = r.parent
                                       AND h.finished_at IS NOT NULL))
   AND r.id NOT IN (
       SELECT used.id FROM runs o, LATERAL unnest(ARRAY[o.of, o.sealed_plan, o.follows, o.parent]) AS used (id)
        WHERE o.client_id = :client AND o.outcome IS NULL AND used.id IS NOT NULL)
 ORDER BY r.id LIMIT :most FOR NO KEY UPDATE OF r SKIP LOCKED"""
_RUN = """
SELECT to_jsonb(r) || jsonb_build_object('plan', (SELECT to_jsonb(p) FROM run_plans p
                                                   WHERE p.client_id = :client AND p.run_id = :run))
  FROM runs r WHERE r.client_id = :client AND r.id = :run"""
_EVENTS = "SELECT to_jsonb(e) FROM step_events e WHERE e.client_id = :client AND e.run_id = :run ORDER BY e.seq"
_MARKED = "SELECT count(*) FROM runs WHERE client_id = :client AND id = ANY (:runs) AND archived_at IS NOT NULL"
_MARK = "UPDATE runs SET archived_at = now(), archive = :file WHERE client_id = :client AND id = ANY (:runs)"
_CHANGES = """
INSERT INTO archived_changes (client_id, target, run_id, seq, node, kind, at)
SELECT e.client_id, e.target, e.run_id, e.seq, e.node, e.payload -> 'change' ->> 'kind', e.at
  FROM step_events e WHERE e.client_id = :client AND e.run_id = ANY (:runs) AND e.target IS NOT NULL
ON CONFLICT DO NOTHING"""


async def keep_history(dsn: str, folder: Path, usual_days: int) -> None:
    """Archive what is old enough, of every client, and drop the months that are empty then. A month that somebody else
    writes, or a folder that cannot be written, is left for the next time."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        for client_id, days in await doors.history_clients(connection, usual_days):
            try:
                await _archive_client(client_id, folder, utcnow() - timedelta(days=days))
            except (ArchiveBusy, OSError) as error:
                log.warning("history.not_archived", client_id=str(client_id), error=type(error).__name__)
        if dropped := await doors.drop_empty_partitions(connection):
            log.info("history.months_dropped", dropped=dropped)


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
    return [row[0] for row in (await _execute(session, _RIPE, **values)).all()]


async def _settle_last(session: AsyncSession, client_id: UUID, file: Month) -> None:
    """Take the last part back where its runs were never marked: its transaction did not come to its end."""
    if not file.last_runs:
        return
    found = await _execute(session, _MARKED, client=client_id, runs=file.last_runs)
    if found.scalar_one() == 0:
        await asyncio.to_thread(file.forget_last)


async def _write(session: AsyncSession, client_id: UUID, file: Month, ripe: list[UUID]) -> int:
    lines: list[bytes] = []
    taken: list[UUID] = []
    events = 0
    for run in ripe:
        whole = (await _execute(session, _RUN, client=client_id, run=run)).scalar_one()
        steps = [row[0] for row in (await _execute(session, _EVENTS, client=client_id, run=run)).all()]
        lines += [_line({"run": whole}), *(_line({"event": step}) for step in steps)]
        taken.append(run)
        events += len(steps)
        if events >= _EVENTS_A_BITE:
            break
    part = await asyncio.to_thread(file.add, taken, lines, events)
    await _execute(session, _MARK, client=client_id, runs=taken, file=file.name)
    await _execute(session, _CHANGES, client=client_id, runs=taken)
    dropped = await doors.drop_history(session, taken)
    context = Context(client_id, "", system_actor("scheduler"), "system")
    details = {"file": file.name, "part": len(file.manifest["parts"]), "dropped": dropped, **part}
    await audit.record(session, context, action="history_archived", target=f"archive:{file.name}", details=details)
    return len(taken)


def _line(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


async def _execute(session: AsyncSession, statement: str, **values: Any) -> Any:
    return await (await session.connection()).execute(text(statement), values)
