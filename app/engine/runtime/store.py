"""The engine's reads and writes: one statement each, fenced and under row-level security."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.data.repositories import audit
from app.data.session import tenant_session
from app.engine.core.events import Event
from app.engine.runtime.dispatch import Claim, FenceLost, Woken
from app.engine.runtime.record import Record, parse_record

log = structlog.get_logger(__name__)
_FENCE = "OL001"
_COMMIT = "SELECT engine_commit(%s, %s, %s, %s, %s::jsonb, %s::jsonb, %s::jsonb)"
# Where the run was woken and nothing is written, nothing is told either.
_COMMIT_TOLD = (
    "SELECT woken, CASE WHEN woken >= 0 THEN audit_append(%s, %s::jsonb) END"
    " FROM engine_commit(%s, %s, %s, %s, %s::jsonb, %s::jsonb, %s::jsonb) AS woken"
)

Numbered = tuple[int, Event]
Audit = Callable[[AsyncSession], Awaitable[Any]]


@dataclass(frozen=True)
class Told:
    """Work that adds an audit event and nothing else, so that it needs no transaction of several statements."""

    entry: audit.Entry

    async def __call__(self, session: AsyncSession) -> None:
        audit.add(session, self.entry)


def event_rows(events: Sequence[Numbered]) -> list[dict[str, Any]]:
    """Events as rows of the history."""
    return [
        {
            "seq": seq,
            "node": getattr(event, "node", ""),
            "kind": event.kind,
            "attempt": getattr(event, "attempt", None) or 0,
            "payload": event.to_json(),
        }
        for seq, event in events
    ]


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)


class Store:
    """What a walk reads and writes."""

    def __init__(self, pool: AsyncConnectionPool, worker_id: UUID) -> None:
        self._pool = pool
        self._worker_id = worker_id

    async def load(self, claim: Claim) -> Record | None:
        """The run with all that walking it needs; None where it is gone."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute("SELECT opsloom_engine_load(%s, %s)", (claim.client_id, claim.run_id))
            row = await cursor.fetchone()
        return parse_record(row[0]) if row and row[0] else None

    def parameters(
        self,
        claim: Claim,
        events: Sequence[Numbered] = (),
        run_patch: dict[str, Any] | None = None,
        queue_patch: dict[str, Any] | None = None,
    ) -> tuple[object, ...]:
        """What engine_commit takes."""
        rows = event_rows(events) if events else None
        return (
            claim.client_id,
            claim.run_id,
            self._worker_id,
            claim.fence,
            _json(rows),
            _json(run_patch),
            _json(queue_patch),
        )

    async def commit(
        self,
        claim: Claim,
        events: Sequence[Numbered] = (),
        run_patch: dict[str, Any] | None = None,
        queue_patch: dict[str, Any] | None = None,
    ) -> int:
        """Write events and patches in one transaction; gives the run's wake-up counter. Raises FenceLost, and
        Woken where the run was to end and was woken since it was last looked at."""
        return await self.commit_prepared(self.parameters(claim, events, run_patch, queue_patch))

    async def commit_prepared(self, parameters: tuple[object, ...]) -> int:
        """The same with what :meth:`parameters` gave: one statement, one round trip."""
        async with self._pool.connection() as connection:
            return await _committed(connection, parameters)

    async def commit_with(self, claim: Claim, parameters: tuple[object, ...], work: Sequence[Audit]) -> int:
        """The same, with ``work`` (audit events, approvals) in the same transaction."""
        if not work:
            return await self.commit_prepared(parameters)
        told = [part.entry for part in work if isinstance(part, Told)]
        if len(told) == len(work):
            return await self._commit_told(claim, parameters, told)
        async with tenant_session(claim.client_id) as session:
            raw = await (await session.connection()).get_raw_connection()
            wakeups = await _committed(raw.driver_connection, parameters)
            for part in work:
                await part(session)
        return wakeups

    async def _commit_told(self, claim: Claim, parameters: tuple[object, ...], told: Sequence[audit.Entry]) -> int:
        """One statement as well: no event is of another client than the run's."""
        rows = _json([entry.row() for entry in told])
        async with self._pool.connection() as connection:
            row = await _answered(connection, _COMMIT_TOLD, (claim.client_id, rows, *parameters))
        woken, last = int(row[0]), int(row[1])
        for entry in told:
            entry.count()
        if audit.crosses(last, len(told)):
            await _signed(told[-1].context)
        return woken


async def _signed(context: Context) -> None:
    """Sign the chain as it stands. What is committed stays so: where this fails, the scheduler does it soon."""
    try:
        async with tenant_session(context) as session:
            await audit.checkpoint(session, context)
    except Exception as error:
        log.warning("audit.not_signed", error=type(error).__name__)


async def _committed(connection: Any, parameters: tuple[object, ...]) -> int:
    return int((await _answered(connection, _COMMIT, parameters))[0])


async def _answered(connection: Any, statement: str, parameters: tuple[object, ...]) -> Any:
    """The row that a commit gives, the wake-up counter first. Raises FenceLost, Woken."""
    try:
        cursor = await connection.execute(statement, parameters)
    except psycopg.Error as error:
        if error.sqlstate == _FENCE:
            raise FenceLost from error
        raise
    row = await cursor.fetchone()
    if row[0] < 0:
        raise Woken(-1 - row[0])
    return row
