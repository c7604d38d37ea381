"""The runs of a wave, each in a session of its own client: set free, held back again, or stopped.

A held run has no place in the queue, so that no worker can claim it; its reason says for whom it waits.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.core.run_states import OVER
from app.data.models.runs import Run, RunQueue
from app.data.repositories import audit
from app.data.session import tenant_session
from app.engine.runtime.record import worker_context
from app.engine.runtime.waking import wake_run

Json = dict[str, Any]
HELD: Json = {"code": "wave"}
HELD_BACK: Json = {"code": "wave_held_back"}
CANCELLED: Json = {"code": "wave_cancelled"}


def is_held(reason: Json | None) -> bool:
    """Whether a run with this reason waits for its wave."""
    return reason in (HELD, HELD_BACK)


async def exists(client_id: UUID, run_id: UUID) -> bool:
    """Whether the run is there."""
    async with tenant_session(client_id) as session:
        return await session.get(Run, (client_id, run_id)) is not None


async def set_free(client_id: UUID, run_id: UUID) -> None:
    """Let workers take a held run. Done again, it does nothing."""
    async with tenant_session(client_id) as session:
        _, run = await _locked(session, client_id, run_id)
        if run is None or not is_held(run.reason):
            return
        run.state, run.reason = "queued", None
        session.add(run)
        await session.flush()
        await wake_run(session, client_id, run_id, run.priority)
        await _told(session, client_id, run_id, "run_released")


async def hold_back(client_id: UUID, run_id: UUID) -> bool:
    """Hold a run again that was set free and has not begun. Gives whether it was.

    A worker that claims a run locks its place in the queue. Where we have it locked, the claim passes the run by and
    finds nothing afterwards; where the claim came first, the run counts as begun. So does one that has its slot of a
    concurrency key: the run after it looks only when this one ends.
    """
    async with tenant_session(client_id) as session:
        place, run = await _locked(session, client_id, run_id)
        if place is None or place.worker_id is not None or place.slot_held:
            return False
        if run is None or run.state in OVER or run.started_at is not None or run.cancel_requested_at is not None:
            return False
        await session.delete(place)
        run.state, run.reason = "waiting", dict(HELD_BACK)
        session.add(run)
        await session.flush()
        await _told(session, client_id, run_id, "run_held_back")
    return True


async def stop(client_id: UUID, run_id: UUID) -> bool:
    """Ask a run to stop. One that is held ends at once, as no worker would come to it; gives whether it was."""
    async with tenant_session(client_id) as session:
        place, run = await _locked(session, client_id, run_id)
        if run is None or run.state in OVER:
            return False
        run.cancel_requested_at = run.cancel_requested_at or utcnow()
        held = place is None and is_held(run.reason)
        if held:
            run.state, run.reason, run.finished_at = "cancelled", dict(CANCELLED), utcnow()
        session.add(run)
        await session.flush()
        if not held:
            await wake_run(session, client_id, run_id, run.priority)
    return held


async def _locked(session: AsyncSession, client_id: UUID, run_id: UUID) -> tuple[RunQueue | None, Run | None]:
    """The run and its place in the queue, which is locked first, as workers do: nobody waits for the other then."""
    query = select(RunQueue).where(RunQueue.client_id == client_id, RunQueue.run_id == run_id)
    place = (await session.exec(query.with_for_update())).first()
    return place, await session.get(Run, (client_id, run_id), with_for_update=True)


async def _told(session: AsyncSession, client_id: UUID, run_id: UUID, action: str) -> None:
    await audit.record(
        session, worker_context(client_id), action=action, target=f"run:{run_id}", details={"by": "wave"}
    )
