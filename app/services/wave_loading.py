"""A wave read from the database: its head, and the rows of its clients."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Missing
from app.data.models.runs import Run, RunQueue, WaveTarget


async def find_wave(session: AsyncSession, ctx: Context, wave_id: UUID, *, lock: bool = False) -> Run:
    """The head of a wave. Raises Missing.

    ``lock`` keeps its walker and other people from changing it until the commit: its place in the queue first, as
    workers do, so that nobody waits for the other.
    """
    if lock:
        place = select(RunQueue.run_id).where(RunQueue.client_id == ctx.client_id, RunQueue.run_id == wave_id)
        await session.exec(place.with_for_update())
    query = select(Run).where(Run.client_id == ctx.client_id, Run.id == wave_id, Run.kind == "wave")
    found = (await session.exec(query.with_for_update() if lock else query)).first()
    if found is None:
        raise Missing("wave")
    return found


async def targets_of(session: AsyncSession, ctx: Context, wave_id: UUID) -> Sequence[WaveTarget]:
    """The clients of a wave, by stage and short name."""
    query = select(WaveTarget).where(WaveTarget.client_id == ctx.client_id, WaveTarget.run_id == wave_id)
    return (await session.exec(query.order_by(col(WaveTarget.stage), col(WaveTarget.slug)))).all()
