"""What people ask of a wave that goes on: pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.core.context import Context
from app.core.errors import Stale
from app.core.run_states import OVER
from app.core.settings import get_settings
from app.data.models.runs import Run, WaveTarget
from app.data.repositories import audit
from app.data.session import after_commit, tenant_session
from app.engine.runtime.wakeup import wake
from app.engine.runtime.waking import wake_run
from app.services.wave_loading import find_wave, targets_of

Json = dict[str, Any]


async def pause(ctx: Context, wave_id: UUID) -> None:
    """Let nothing further begin, neither a stage nor a run of one that is under way; runs that have begun go on.

    Raises Stale where it is over, or asked to stop.
    """
    ctx.require("wave.start")
    async with tenant_session(ctx) as session:
        run = await _going(session, ctx, wave_id)
        run.extra = {**run.extra, "paused": True}
        await _ask(session, ctx, run, "wave_paused")


async def resume(ctx: Context, wave_id: UUID) -> None:
    """Lift the hold that stands: a pause, a stop (at too many failures: those seen so far are then accepted; or because
    nobody of the canary could be run), or the question whether the next stage may begin.

    Raises Stale where nothing holds the wave, where it is over, or asked to stop.
    """
    ctx.require("wave.start")
    async with tenant_session(ctx) as session:
        run = await _going(session, ctx, wave_id)
        run.extra = {**run.extra, **_lifted(run, await targets_of(session, ctx, wave_id))}
        await _ask(session, ctx, run, "wave_resumed")


async def cancel(ctx: Context, wave_id: UUID) -> None:
    """Ask every run of the wave to stop; clients that have not begun are not run. Raises Stale where it is over."""
    ctx.require("run.cancel")
    async with tenant_session(ctx) as session:
        run = await _going(session, ctx, wave_id, cancelling=True)
        run.cancel_requested_at = run.cancel_requested_at or utcnow()
        await _ask(session, ctx, run, "wave_cancel_asked")


def _lifted(run: Run, targets: Sequence[WaveTarget]) -> Json:
    """What resuming changes. Nobody is asked twice about a wave that was stopped while it was paused, but a pause says
    nothing about failures, nor about a stage whose turn comes only later."""
    code = (run.reason or {}).get("code")
    # A wave that was stopped by an older version says so in its reason only.
    if run.extra.get("stopped", code == "wave_stopped"):
        failed = sum(target.state in ("failed", "cancelled") for target in targets)
        # Whoever goes on after that has seen who was not run.
        return {"stopped": False, "paused": False, "accepted": failed, "untried": True}
    if run.extra.get("paused"):
        return {"paused": False}
    if code == "wave_next":
        return {"released_stages": int(run.extra.get("begun", 0)) + 1}
    raise Stale("Nothing holds this wave.", code="wave_not_held")


async def _going(session: AsyncSession, ctx: Context, wave_id: UUID, *, cancelling: bool = False) -> Run:
    run = await find_wave(session, ctx, wave_id, lock=True)
    if run.state in OVER:
        raise Stale("This wave is over already.", code="run_over")
    if run.cancel_requested_at is not None and not cancelling:
        raise Stale("This wave is being cancelled.", code="run_cancelling")
    return run


async def _ask(session: AsyncSession, ctx: Context, run: Run, action: str) -> None:
    session.add(run)
    await session.flush()
    await wake_run(session, ctx.client_id, run.id)
    await audit.record(session, ctx, action=action, target=f"run:{run.id}")
    after_commit(session, lambda: wake(get_settings().redis_url))
