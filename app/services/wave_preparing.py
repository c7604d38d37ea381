"""Preparing a wave: each client's copy of the version and its run, held until its stage begins, or why it has none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.core.context import Context
from app.core.errors import Forbidden, Invalid, Missing, Stale
from app.core.logging import get_logger
from app.data.models.runs import Run, WaveTarget
from app.data.models.workflows import WorkflowVersion
from app.data.repositories import audit
from app.data.retry import constraint
from app.data.session import tenant_session
from app.engine.core.document import Document, parse_document
from app.engine.runtime import wave_runs
from app.services import clients, workflow_checks, workflow_versions
from app.services.clients import ClientView
from app.services.hands import hands
from app.services.run_rules import priority_name, priority_of, slots_of
from app.services.start_documents import plan_to_follow

log = get_logger(__name__)
Json = dict[str, Any]
# A start of which nothing is heard for so long is taken for dead, and the wave goes on with the clients it prepared.
PREPARED_WITHIN = timedelta(minutes=2)
_NAME_CONSTRAINT = "workflows_name"


async def prepare_all(
    ctx: Context, head: Run, chosen: Sequence[ClientView], origin: WorkflowVersion, plan: UUID | None
) -> None:
    """Each client's copy of the version and its run, held until its stage begins; or why it cannot be run there.

    The wave's head does nothing before this is over. It ends early where the wave is cancelled, or where the head has
    gone on without us, having heard nothing for :data:`PREPARED_WITHIN`.
    """
    for client in chosen:
        await _prepare(ctx, head, client, origin, plan)
        if not await _goes_on(ctx, head.id):
            return


async def _goes_on(ctx: Context, wave_id: UUID) -> bool:
    """Whether the wave still wants its clients prepared. Where half of our time is over, we ask for more."""
    async with tenant_session(ctx) as session:
        head = await session.get(Run, (ctx.client_id, wave_id))
        if head is None or head.cancel_requested_at is not None or not (until := head.extra.get("preparing_until")):
            return False
        if datetime.fromisoformat(until) - utcnow() < PREPARED_WITHIN / 2:
            await session.refresh(head, with_for_update=True)
            if not head.extra.get("preparing_until"):
                return False
            head.extra = {**head.extra, "preparing_until": until_prepared()}
            session.add(head)
    return True


def until_prepared() -> str:
    """The time (ISO 8601) at which whoever prepares a wave from now on is taken for dead."""
    return (utcnow() + PREPARED_WITHIN).isoformat()


async def _prepare(ctx: Context, head: Run, client: ClientView, origin: WorkflowVersion, plan: UUID | None) -> None:
    row = await _row(ctx, head.id, client)
    if row is None or row.state != "preparing" or row.target_run is None:
        return
    try:
        planned = await _planned_run(ctx, plan, client) if plan else None
        await _hold_patiently(ctx, head, client, origin, planned, row.target_run)
    except (Invalid, Stale, Missing, Forbidden) as error:
        reason = {"code": error.code, "message": error.message, "problems": _told(error)}
        await _settle(ctx, row, "not_run", reason)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        # A fault in one client's data keeps nobody else from being prepared.
        log.exception("wave.not_prepared", client_id=str(client.id), error=type(error).__name__)
        await _settle(ctx, row, "not_run", {"code": "not_prepared"})
    else:
        if not await _settle(ctx, row, "held", None):
            await wave_runs.stop(client.id, row.target_run)


async def _row(ctx: Context, wave_id: UUID, client: ClientView) -> WaveTarget | None:
    async with tenant_session(ctx) as session:
        return await session.get(WaveTarget, (ctx.client_id, wave_id, client.id))


def _told(error: Exception) -> list[Json]:
    return [problem.as_json() for problem in getattr(error, "problems", ())][:20]


async def _planned_run(ctx: Context, plan: UUID, client: ClientView) -> UUID:
    async with tenant_session(ctx) as session:
        target = await session.get(WaveTarget, (ctx.client_id, plan, client.id))
    if target is None or target.target_run is None or target.state != "succeeded":
        raise Stale("This client has no usable plan in that wave.", code="plan_unusable")
    return target.target_run


async def _hold_patiently(
    ctx: Context, head: Run, client: ClientView, origin: WorkflowVersion, planned: UUID | None, run_id: UUID
) -> None:
    """Another wave may bring the client its first copy at the same moment: whoever is second looks again, and finds
    it."""
    for tries_left in (2, 1, 0):
        try:
            await _hold(ctx, head, client, origin, planned, run_id)
        except IntegrityError as error:
            if constraint(error) != _NAME_CONSTRAINT or not tries_left:
                raise
        else:
            return


async def _hold(
    ctx: Context, head: Run, client: ClientView, origin: WorkflowVersion, planned: UUID | None, run_id: UUID
) -> None:
    inside = await clients.enter(ctx.actor, client.id)
    inside.require("run.plan" if head.mode == "plan" else "run.start")
    document = parse_document(origin.document)
    async with tenant_session(inside) as session:
        if planned:
            await plan_to_follow(session, inside, planned)
        await workflow_checks.require_valid(session, inside, document, stored=True)
        version = await _copy(session, ctx, inside, document, origin)
        (slot,) = await slots_of(session, inside, document, [(None, head.inputs)])
        run = Run(
            client_id=inside.client_id,
            id=run_id,
            workflow_id=version.workflow_id,
            version=version.version,
            document_hash=version.hash,
            mode=head.mode,
            inputs=head.inputs,
            label=head.label,
            priority=priority_of(inside, priority_name(head.priority)),
            state="waiting",
            reason=dict(wave_runs.HELD),
            sealed_plan=planned,
            started_by=ctx.actor.account_id,
            started_by_name=ctx.actor.name or ctx.actor.email,
            extra={"wave": {"client": str(ctx.client_id), "run": str(head.id)}, **hands(origin.published_by), **slot},
        )
        session.add(run)
        details = {"mode": run.mode, "workflow": str(run.workflow_id), "version": run.version, "wave": str(head.id)}
        await audit.record(session, inside, action="run_started", target=f"run:{run.id}", details=details)


async def _copy(
    session: AsyncSession, ctx: Context, inside: Context, document: Document, origin: WorkflowVersion
) -> WorkflowVersion:
    if inside.client_id == ctx.client_id:
        return await workflow_versions.find_version(session, inside, origin.workflow_id, origin.version)
    source = {"client": str(ctx.client_id), "slug": ctx.client_slug, "workflow": str(origin.workflow_id)}
    return await workflow_versions.adopt(
        session, inside, name=document.name or "Workflow", document=document, author=origin.author_id, origin=source
    )


async def _settle(ctx: Context, made: WaveTarget, state: str, reason: Json | None) -> bool:
    """Record what became of a client. Gives whether the run that was made for it is its run.

    It is not where the head has meanwhile closed the row, which then says that nothing was run there.
    """
    async with tenant_session(ctx) as session:
        row = await session.get(WaveTarget, (made.client_id, made.run_id, made.target), with_for_update=True)
        if row is None:
            return False
        if row.state == "preparing":
            row.state, row.reason = state, reason
            row.target_run = made.target_run if state == "held" else None
            session.add(row)
        return row.target_run == made.target_run
