"""Letting a run be looked at, in the transaction of what makes that worth while."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.data.models.approvals import Approval
from app.data.models.forms import Form
from app.data.models.runs import RunQueue


async def wake_run(
    session: AsyncSession, client_id: UUID, run_id: UUID, urgency: int | None = None, *, at: datetime | None = None
) -> None:
    """Let a run be claimed again (``at`` a time, not before it), or let its walker look up.

    ``urgency`` is its priority, None: as it was.
    """
    connection = await session.connection()
    values = {"client": client_id, "run": run_id, "at": at, "urgency": urgency}
    statement = "SELECT wake_run(:client, :run, CAST(:at AS timestamptz), CAST(:urgency AS smallint))"
    await connection.execute(text(statement), values)


async def hold_place(
    session: AsyncSession, client_id: UUID, asked: type[Approval] | type[Form], asked_id: UUID
) -> None:
    """Lock the place in the queue of the run that asks, before what it asks is locked.

    The engine locks them in this order, and two that lock in another could each wait for the other.
    """
    run_id = select(asked.run_id).where(asked.client_id == client_id, asked.id == asked_id).scalar_subquery()
    place = select(RunQueue.run_id).where(RunQueue.client_id == client_id, col(RunQueue.run_id) == run_id)
    await session.exec(place.with_for_update(key_share=True))
