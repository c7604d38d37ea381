"""Whether what a run did still stands."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Stale
from app.core.run_states import OVER
from app.data.models.runs import Run, StepEvent


async def require_not_undone(session: AsyncSession, ctx: Context, run_id: UUID) -> None:
    """Raise Stale where the run is taken back, or is being: its results are no ground to go on from."""
    query = select(Run).where(Run.client_id == ctx.client_id, Run.of == run_id, Run.mode == "apply")
    for undo in (await session.exec(query)).all():
        if undo.state not in OVER or await has_history(session, ctx, undo.id):
            message = "What this run did is taken back, or is being. Start it anew."
            raise Stale(message, code="run_undone", params={"run": str(undo.id)})


async def has_history(session: AsyncSession, ctx: Context, run_id: UUID) -> bool:
    """Whether the run has begun."""
    query = select(StepEvent.seq).where(StepEvent.client_id == ctx.client_id, StepEvent.run_id == run_id).limit(1)
    return (await session.exec(query)).first() is not None


async def require_latest_undo(session: AsyncSession, ctx: Context, undo: Run) -> None:
    """Raise Stale where another undo of the same run has begun after this one: what it took back may have been done
    anew since, and what it is taking back is not to be taken back twice.

    Until the commit no other one can be started.
    """
    await session.get(Run, (ctx.client_id, undo.of), with_for_update={"key_share": True})
    query = select(Run).where(
        Run.client_id == ctx.client_id, Run.of == undo.of, Run.mode == "apply", col(Run.id) > undo.id
    )
    for later in (await session.exec(query)).all():
        if later.state not in OVER or await has_history(session, ctx, later.id):
            message = "Another undo of this run has been started since. Look at that one."
            raise Stale(message, code="undo_superseded", params={"run": str(later.id)})
