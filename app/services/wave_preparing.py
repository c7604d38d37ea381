"""Preparing a wave: each client's copy of the version and its run, held until its stage begins, or why it has none."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Forbidden, Invalid, Missing, Stale
from app.core.ids import new_id
from app.data.models.runs import Run, WaveTarget
from app.data.models.workflows import WorkflowVersion
from app.data.repositories import audit
from app.data.session import tenant_session
from app.engine.core.document import Document, parse_document
from app.engine.runtime.wave import HELD
from app.services import clients, workflow_checks, workflow_versions
from app.services.clients import ClientView
from app.services.run_rules import slots_of
from app.services.start_documents import plan_to_follow

Json = dict[str, Any]


async def prepare(ctx: Context, head: Run, client: ClientView, origin: WorkflowVersion, plan: UUID | None) -> None:
    """The client's copy of the version and its run, held until its stage begins; or why it cannot be run there."""
    try:
        run_id = await _hold(ctx, head, client, origin, await _planned_run(ctx, plan, client) if plan else None)
    except (Invalid, Stale, Missing, Forbidden) as error:
        reason = {"code": error.code, "message": error.message, "problems": _told(error)}
        await _settle(ctx, head, client, "not_run", None, reason)
    else:
        await _settle(ctx, head, client, "held", run_id, None)


def _told(error: Exception) -> list[Json]:
    return [problem.as_json() for problem in getattr(error, "problems", ())][:20]


async def _planned_run(ctx: Context, plan: UUID, client: ClientView) -> UUID:
    async with tenant_session(ctx) as session:
        target = await session.get(WaveTarget, (ctx.client_id, plan, client.id))
    if target is None or target.target_run is None or target.state != "succeeded":
        raise Stale("This client has no usable plan in that wave.", code="plan_unusable")
    return target.target_run


async def _hold(ctx: Context, head: Run, client: ClientView, origin: WorkflowVersion, planned: UUID | None) -> UUID:
    inside = await clients.enter(ctx.actor, client.id)
    inside.require("run.plan" if head.mode == "plan" else "run.start")
    document = parse_document(origin.document)
    async with tenant_session(inside) as session:
        if planned:
            await plan_to_follow(session, inside, planned)
        await workflow_checks.require_valid(session, inside, document)
        version = await _copy(session, ctx, inside, document, origin)
        (slot,) = await slots_of(session, inside, document, [(None, head.inputs)])
        run = Run(
            client_id=inside.client_id,
            id=new_id(),
            workflow_id=version.workflow_id,
            version=version.version,
            document_hash=version.hash,
            mode=head.mode,
            inputs=head.inputs,
            label=head.label,
            state="waiting",
            reason=dict(HELD),
            sealed_plan=planned,
            started_by=ctx.actor.account_id,
            started_by_name=ctx.actor.name or ctx.actor.email,
            extra={"wave": {"client": str(ctx.client_id), "run": str(head.id)}, **slot},
        )
        session.add(run)
        details = {"mode": run.mode, "workflow": str(run.workflow_id), "version": run.version, "wave": str(head.id)}
        await audit.record(session, inside, action="run_started", target=f"run:{run.id}", details=details)
    return run.id


async def _copy(
    session: AsyncSession, ctx: Context, inside: Context, document: Document, origin: WorkflowVersion
) -> WorkflowVersion:
    if inside.client_id == ctx.client_id:
        return await workflow_versions.find_version(session, inside, origin.workflow_id, origin.version)
    source = {"client": str(ctx.client_id), "slug": ctx.client_slug, "workflow": str(origin.workflow_id)}
    return await workflow_versions.adopt(
        session, inside, name=document.name or "Workflow", document=document, author=origin.author_id, origin=source
    )


async def _settle(
    ctx: Context, head: Run, client: ClientView, state: str, run_id: UUID | None, reason: Json | None
) -> None:
    async with tenant_session(ctx) as session:
        row = await session.get(WaveTarget, (ctx.client_id, head.id, client.id), with_for_update=True)
        if row is not None and row.state == "preparing":
            row.state, row.target_run, row.reason = state, run_id, reason
            session.add(row)
