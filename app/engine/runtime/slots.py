"""Concurrency keys at work: a run takes a slot before it begins, and frees it by being over.

Who has a slot is read from the queue's rows (alembic/sql/0005/slots.sql), and such a row is there exactly as long as
its run is not over. Nothing is counted up or down, so nothing can leak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.data.models.runs import Run, RunQueue
from app.data.repositories import audit
from app.data.session import tenant_session
from app.engine.runtime.record import Record
from app.engine.runtime.waking import wake_run

Json = dict[str, Any]

# A run that waits is woken when the one before it ends; it also looks by itself, in case the limit was another's.
LOOK_AGAIN_S = 60.0


@dataclass(frozen=True)
class Turn:
    """Whether it is a run's turn, and which runs are before it."""

    held: bool
    ahead: tuple[UUID, ...] = ()


def rule_of(record: Record) -> Json | None:
    """The run's concurrency key with its rules, where it has one that counts: a plan changes nothing."""
    found: Json | None = record.run["extra"].get("concurrency")
    return found if record.mode == "apply" else None


async def take(record: Record, rule: Json) -> Turn:
    """Take a slot, or a place among those that wait for one."""
    async with tenant_session(record.client_id) as session:
        values = {"client": record.client_id, "run": record.run_id, "key": rule["key"], "most": rule["limit"]}
        connection = await session.connection()
        found = await connection.execute(text("SELECT * FROM take_slot(:client, :run, :key, :most)"), values)
        held, ahead = found.one()
        turn = Turn(held, tuple(ahead or ()))
        if not held and rule["policy"] == "replace" and not record.events:
            await _replace(session, record, turn.ahead)
    return turn


async def leave(record: Record, rule: Json) -> None:
    """Wait no longer. A slot that the run has is kept."""
    async with tenant_session(record.client_id) as session:
        connection = await session.connection()
        values = {"client": record.client_id, "run": record.run_id, "key": rule["key"]}
        await connection.execute(text("SELECT leave_slot(:client, :run, :key)"), values)


async def _replace(session: AsyncSession, record: Record, ahead: tuple[UUID, ...]) -> None:
    """Ask the runs before this one to stop. What takes work back is waited for instead."""
    for run_id in ahead:
        place = select(RunQueue.run_id).where(RunQueue.client_id == record.client_id, RunQueue.run_id == run_id)
        await session.exec(place.with_for_update())
        query = select(Run).where(Run.client_id == record.client_id, Run.id == run_id).with_for_update()
        other = (await session.exec(query)).first()
        if other is None or other.kind == "undo" or other.cancel_requested_at is not None:
            continue
        other.cancel_requested_at = utcnow()
        other.extra = {**other.extra, "replaced_by": str(record.run_id)}
        session.add(other)
        await session.flush()
        await wake_run(session, record.client_id, run_id)
        details = {"replaced_by": str(record.run_id)}
        await audit.record(
            session, record.on_behalf, action="run_cancel_asked", target=f"run:{run_id}", details=details
        )
