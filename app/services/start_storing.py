"""Putting a new run into the queue, with what the audit trail says of it."""

from __future__ import annotations

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Unavailable
from app.core.settings import get_settings
from app.data.link import Rows
from app.data.models.runs import Run
from app.data.repositories import audit
from app.data.repositories.runs import NewRun, queueing, queueing_told
from app.data.session import CommitUnknown, after_commit, run_hook
from app.data.trips import Ask, in_session, tenant_trip
from app.engine.runtime.wakeup import wake

Json = dict[str, Any]
# As queueing_told gives it.
_FOUND = """
SELECT q.wakeups, h.seq
  FROM runs r JOIN audit_heads h ON h.client_id = r.client_id
  LEFT JOIN run_queue q ON q.client_id = r.client_id AND q.run_id = r.id
 WHERE r.client_id = %s AND r.id = %s"""


async def queue(session: AsyncSession, ctx: Context, run: NewRun | Run, told: Json | None = None) -> None:
    """Store a new run, started by the actor, and have it walked once the transaction is committed.

    ``told`` is what the audit trail says of it beside the usual.
    """
    event = _started(ctx, run, told)
    await in_session(session, queueing(run))
    audit.add(session, event)
    after_commit(session, _wake)


async def queue_at_once(ctx: Context, run: NewRun, *, where: Ask | None = None) -> bool:
    """The same as a transaction of its own, in one round trip. False where the condition ``where`` does not hold: then
    nothing was stored.

    Raises Unavailable where the connection was lost and nothing was stored.
    """
    event = _started(ctx, run)
    rows = await _stored(ctx, run, queueing_told(run, event, where=where))
    if not rows:
        return False
    await run_hook(_wake)
    await audit.appended([event], int(rows[0][1]))
    return True


async def _stored(ctx: Context, run: NewRun, ask: Ask) -> Rows:
    """What ``ask`` gives. Where its answer was lost, the run itself tells whether it was stored."""
    try:
        (rows,) = await tenant_trip(ctx, ask, writes=True)
    except CommitUnknown as error:
        (rows,) = await tenant_trip(ctx, Ask(_FOUND, (ctx.client_id, run.id)))
        if not rows:
            raise Unavailable("The database does not answer.", params={"part": "postgres"}) from error
    return rows


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
