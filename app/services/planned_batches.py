"""Starting a table as it was planned: the same rows of the same version, and what was held back stays held back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Stale
from app.core.ids import new_id
from app.data.models.runs import Run
from app.data.repositories.runs import NewRun, add_rows_of
from app.data.session import tenant_session
from app.services import workflow_versions
from app.services.hands import handed_on
from app.services.start_documents import plan_to_follow, require_plan_kept
from app.services.start_keys import Asked, by_key, once
from app.services.start_storing import queue
from app.services.starts import start

Json = dict[str, Any]


async def start_planned(ctx: Context, *, workflow: UUID | str, plan: UUID, **asked: Any) -> UUID:
    """Start what the run ``plan`` has planned, be it one run or a table, and give its id. ``asked`` and what is raised
    are those of :func:`app.services.starts.start`; a table has its inputs already."""
    async with tenant_session(ctx) as session:
        flow = await workflow_versions.find(session, ctx, workflow)
        planned = await session.get(Run, (ctx.client_id, plan))
    of_table = planned is not None and planned.kind == "batch" and planned.workflow_id == flow.id
    if not of_table or asked.get("mode") != "apply" or asked.get("inputs") or asked.get("only_node"):
        return await start(ctx, workflow=workflow, plan=plan, **asked)
    return await start_planned_batch(ctx, plan, idempotency_key=asked.get("idempotency_key"))


async def start_planned_batch(ctx: Context, plan: UUID, *, idempotency_key: str | None = None) -> UUID:
    """Queue the batch whose plan the run ``plan`` is, and give its id.

    Every row is planned again; where one differs from what was planned, the whole batch waits for somebody to agree.
    Raises Stale for what is not a finished plan of a batch, is the plan of an undo, or has been archived.
    """
    ctx.require("run.start")
    async with tenant_session(ctx) as session:
        workflow_id = (await _planned(session, ctx, plan)).workflow_id
    asked = Asked(workflow_id, "apply", {}, idempotency_key, kind="batch", details={"plan": plan})

    async def work(session: AsyncSession) -> UUID:
        if earlier := await by_key(session, ctx, asked):
            return earlier
        planned = await plan_to_follow(session, ctx, plan)
        rows = await _rows(session, ctx, planned)
        head = _again(ctx, planned, idempotency_key)
        held_back = planned.extra.get("held_back", [])
        head.extra = {**handed_on(planned.extra, planned.started_by), "held_back": held_back, **asked.kept}
        await queue(session, ctx, head)
        await add_rows_of(session, ctx.client_id, head.id, rows, reverse=False)
        return head.id

    return await once(ctx, asked, work)


async def _planned(session: AsyncSession, ctx: Context, plan: UUID) -> Run:
    found = await session.get(Run, (ctx.client_id, plan))
    if found is None or (found.kind, found.mode, found.state) != ("batch", "plan", "succeeded"):
        raise Stale("This is not a finished plan of a batch.", code="plan_unusable")
    if found.of:
        raise Stale("This is the plan of an undo. Start that undo instead.", code="plan_of_undo")
    return found


async def _rows(session: AsyncSession, ctx: Context, planned: Run) -> list[Json]:
    """A row for each of its rows, which are plans of their own, and are not archived until the commit either."""
    query = (
        select(Run.id, Run.extra, Run.started_by, Run.archived_at)
        .where(Run.client_id == ctx.client_id, Run.parent == planned.id)
        .order_by(col(Run.row_number))
        .with_for_update(read=True)
    )
    rows: list[Json] = []
    for row_id, extra, started_by, archived_at in (await session.exec(query)).all():
        require_plan_kept(archived_at)
        kept = {name: extra[name] for name in ("document", "concurrency") if name in extra}
        rows.append({"id": new_id(), "source": row_id, "extra": {**kept, **handed_on(extra, started_by)}})
    return rows


def _again(ctx: Context, planned: Run, key: str | None) -> NewRun:
    """What was planned, to be done."""
    return NewRun(
        client_id=ctx.client_id,
        id=new_id(),
        kind=planned.kind,
        workflow_id=planned.workflow_id,
        version=planned.version,
        document_hash=planned.document_hash,
        mode="apply",
        sealed_plan=planned.id,
        inputs=planned.inputs,
        label=planned.label,
        priority=planned.priority,
        idempotency_key=key,
    )
