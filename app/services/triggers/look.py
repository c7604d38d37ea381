"""Looking at triggers: lists, history, coming times, drift; and firing one by hand."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Invalid, Missing, Problem
from app.core.ids import new_id
from app.data.models.triggers import Trigger, TriggerFiring
from app.data.models.workflows import Workflow
from app.data.session import tenant_session
from app.engine.core.schedule import Pace, parse_schedule, spread
from app.services.triggers.firing import Cause, database_now, fire
from app.services.triggers.manage import find
from app.services.triggers.starter import permission_for
from app.services.triggers.views import FiringView, TriggerView, firing_view, trigger_fields

MOST_PREVIEWED = 50
PAGE = 50


class Preview(BaseModel):
    """The coming times of a schedule, in UTC."""

    model_config = ConfigDict(frozen=True)

    times: list[datetime]


async def list_triggers(
    ctx: Context, *, kind: str | None = None, workflow: UUID | None = None, watches: bool = False, drift: bool = False
) -> list[TriggerView]:
    """The client's triggers by name. ``watches``: only those that look for drift; ``drift``: only those that see it."""
    ctx.require("workflow.read")
    query = (
        select(Trigger, Workflow.name)
        .join(
            Workflow,
            (col(Workflow.client_id) == col(Trigger.client_id)) & (col(Workflow.id) == col(Trigger.workflow_id)),
        )
        .where(Trigger.client_id == ctx.client_id, col(Trigger.removed_at).is_(None))
        .order_by(func.lower(Trigger.name))
    )
    if kind:
        query = query.where(Trigger.kind == kind)
    if workflow:
        query = query.where(Trigger.workflow_id == workflow)
    if watches or drift:
        query = query.where(col(Trigger.watch).is_(True))
    if drift:
        query = query.where(col(Trigger.drift)["state"].astext == "drift")
    async with tenant_session(ctx) as session:
        now = await database_now(session)
        return [TriggerView(**trigger_fields(row, name, now)) for row, name in (await session.exec(query)).all()]


async def get(ctx: Context, trigger_id: UUID) -> TriggerView:
    """One trigger. Raises Missing."""
    ctx.require("workflow.read")
    async with tenant_session(ctx) as session:
        row = await _seen(session, ctx, trigger_id)
        flow = await session.get(Workflow, (ctx.client_id, row.workflow_id))
        return TriggerView(**trigger_fields(row, flow.name if flow else "", await database_now(session)))


async def firings(
    ctx: Context, trigger_id: UUID, *, outcome: str | None = None, before: UUID | None = None, limit: int = PAGE
) -> list[FiringView]:
    """What came of a trigger's firings, newest first. ``before`` is the last id of the page before. Raises Missing."""
    ctx.require("run.read")
    async with tenant_session(ctx) as session:
        await _seen(session, ctx, trigger_id)
        query = (
            select(TriggerFiring)
            .where(TriggerFiring.client_id == ctx.client_id, TriggerFiring.trigger_id == trigger_id)
            .order_by(col(TriggerFiring.at).desc(), col(TriggerFiring.id).desc())
            .limit(min(limit, 500))
        )
        if outcome:
            query = query.where(TriggerFiring.outcome == outcome)
        if before:
            query = query.where(col(TriggerFiring.id) < before)
        return [firing_view(row) for row in (await session.exec(query)).all()]


async def preview(
    ctx: Context, *, cron: str, zone: str = "UTC", jitter_s: int = 0, count: int = 10, seed: UUID | None = None
) -> Preview:
    """The coming times of a schedule, before it is stored. With the trigger's id as ``seed``, with its spread.

    Raises Invalid naming what is wrong.
    """
    ctx.require("workflow.read")
    async with tenant_session(ctx) as session:
        now = await database_now(session)
    schedule = parse_schedule(cron, zone, now=now, jitter_s=jitter_s)
    pace = Pace(str(seed), jitter_s if seed else 0)
    times = schedule.next(now, max(1, min(count, MOST_PREVIEWED)))
    return Preview(times=[at + spread(pace.seed, at, pace.jitter_s) for at in times])


async def fire_now(ctx: Context, trigger_id: UUID, *, idempotency_key: str | None = None) -> FiringView:
    """Fire it by hand, on the actor's own behalf, also where it is off. The same key fires once.

    Raises Missing, Forbidden; a start that is refused is in the answer.
    """
    ctx.require("trigger.write")
    async with tenant_session(ctx) as session:
        row = await find(session, ctx, trigger_id)
        ctx.require(permission_for(row.mode))
        if row.kind != "schedule":
            message = "Only a schedule is fired by hand: others need what was sent, or what has happened."
            raise Invalid(message, code="not_by_hand", problems=[Problem("not_by_hand", message)])
        now = await database_now(session)
        payload = {"event": "schedule", "due": now.isoformat(), "late_s": 0}
        cause = Cause(f"hand:{idempotency_key or new_id()}", payload, due=now, by=ctx)
        return firing_view(await fire(session, row, cause))


async def _seen(session: AsyncSession, ctx: Context, trigger_id: UUID) -> Trigger:
    row = await session.get(Trigger, (ctx.client_id, trigger_id))
    if row is None or row.removed_at is not None:
        raise Missing("trigger")
    return row
