"""Putting a new run into the queue, with what the audit trail says of it."""

from __future__ import annotations

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.settings import get_settings
from app.data.models.runs import Run
from app.data.repositories import audit
from app.data.repositories.runs import NewRun, queueing
from app.data.session import after_commit, run_hook
from app.data.trips import in_session, tenant_trip
from app.engine.runtime.wakeup import wake

Json = dict[str, Any]


async def queue(session: AsyncSession, ctx: Context, run: NewRun | Run, told: Json | None = None) -> None:
    """Store a new run, started by the actor, and have it walked once the transaction is committed.

    ``told`` is what the audit trail says of it beside the usual.
    """
    event = _started(ctx, run, told)
    await in_session(session, queueing(run))
    audit.add(session, event)
    after_commit(session, _wake)


async def queue_at_once(ctx: Context, run: NewRun) -> None:
    """The same as a transaction of its own: one round trip."""
    event = _started(ctx, run)
    ((row,),) = await tenant_trip(ctx, queueing(run, event), writes=True)
    await audit.appended([event], int(row[1]))
    await run_hook(_wake)


def _started(ctx: Context, run: NewRun | Run, told: Json | None = None) -> audit.Entry:
    run.started_by, run.started_by_name = ctx.actor.account_id, ctx.actor.name or ctx.actor.email
    details = {
        "mode": run.mode,
        "kind": run.kind,
        "workflow": str(run.workflow_id),
        "version": run.version,
        **(told or {}),
    }
    return audit.entry(ctx, action="run_started", target=f"run:{run.id}", details=details)


async def _wake() -> None:
    await wake(get_settings().redis_url)
