"""Writing triggers: making, changing, switching on and off, removing. Who switches one on is who starts its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Invalid, Missing, Problem, Stale
from app.core.ids import new_id
from app.data.models.triggers import Trigger
from app.data.models.workflows import Workflow
from app.data.repositories import audit
from app.data.session import tenant_session
from app.engine.core.schedule import first_turn, parse_schedule
from app.services import workflow_versions
from app.services.run_rules import priority_of
from app.services.start_documents import NotPublished
from app.services.starts import check_mode
from app.services.triggers import secrets
from app.services.triggers.configs import (
    AnyConfig,
    EventConfig,
    ScheduleConfig,
    WebhookConfig,
    parse_config,
    stored_config,
)
from app.services.triggers.firing import database_now, locked
from app.services.triggers.mapping import require_good_inputs
from app.services.triggers.starter import permission_for
from app.services.triggers.views import MadeTrigger, TriggerView, trigger_fields

Json = dict[str, Any]
MAX_NAME = 100
MOST_TRIGGERS = 500


@dataclass(frozen=True)
class Change:
    """What is to be different; None leaves it as it is. ``version`` 0 is whichever is published."""

    name: str | None = None
    workflow: UUID | str | None = None
    version: int | None = None
    mode: str | None = None
    inputs: Mapping[str, Any] | None = None
    config: Mapping[str, Any] | None = None
    watch: bool | None = None
    revision: int | None = None


async def create(
    ctx: Context,
    *,
    name: str,
    kind: str,
    workflow: UUID | str,
    version: int | None = None,
    mode: str = "plan",
    inputs: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    watch: bool = False,
    enabled: bool = True,
) -> MadeTrigger:
    """A new trigger. A webhook's secret is in the answer, and never shown again.

    Raises Invalid naming each field that is wrong (a schedule that never comes among them), Missing, NotPublished.
    """
    ctx.require("trigger.write")
    row = Trigger(client_id=ctx.client_id, id=new_id(), name="", kind=kind, workflow_id=new_id(), mode=mode)
    row.created_by = ctx.actor.account_id
    secret: secrets.NewSecret | None = None
    change = Change(name, workflow, version or 0, mode, inputs or {}, config or {}, watch)
    async with tenant_session(ctx) as session:
        await _require_room(session, ctx)
        flow = await _apply(session, ctx, row, change)
        if isinstance(stored := stored_config(row.config, kind), WebhookConfig):
            secret = await secrets.give(row, stored.auth)
        if enabled:
            await _switch_on(session, ctx, row)
        session.add(row)
        await session.flush()
        await _record(session, ctx, row, "trigger_created", {"kind": kind, "mode": mode, "enabled": enabled})
        fields = trigger_fields(row, flow.name, await database_now(session))
    return MadeTrigger(**fields, secret=secret.value if secret else None)


async def update(ctx: Context, trigger_id: UUID, change: Change) -> TriggerView:
    """Change what is given. Where the trigger is on, it goes on in the name of whoever changed it.

    Raises Invalid, Missing, and Stale where ``change.revision`` is not the one that is there.
    """
    ctx.require("trigger.write")
    async with tenant_session(ctx) as session:
        row = await find(session, ctx, trigger_id)
        if change.revision is not None and change.revision != row.revision:
            raise Stale("Somebody else has changed this meanwhile. Look again.", code="trigger_moved")
        was_on, waiting, watched = row.enabled, _waiting(row), _watched(row)
        flow = await _apply(session, ctx, row, change)
        row.revision += 1
        if _watched(row) != watched:
            row.drift = None  # what the former checks found was about something else
        if was_on:
            await _switch_on(session, ctx, row, waiting)
        session.add(row)
        await session.flush()
        await _record(session, ctx, row, "trigger_changed", {"revision": row.revision})
        return TriggerView(**trigger_fields(row, flow.name, await database_now(session)))


async def switch(ctx: Context, trigger_id: UUID, *, on: bool) -> TriggerView:
    """Switch it on, on behalf of the actor, who must be allowed to start such runs; or off. What a schedule would have
    started while it was off is not made up for."""
    ctx.require("trigger.write")
    async with tenant_session(ctx) as session:
        row = await find(session, ctx, trigger_id)
        flow = await workflow_versions.find(session, ctx, row.workflow_id)
        if on:
            await _check(session, ctx, row, flow)
            await _switch_on(session, ctx, row, _waiting(row))
        else:
            row.enabled, row.stopped, row.next_due, row.next_at = False, None, None, None
        session.add(row)
        await _record(session, ctx, row, "trigger_enabled" if on else "trigger_disabled", {})
        return TriggerView(**trigger_fields(row, flow.name, await database_now(session)))


async def remove(ctx: Context, trigger_id: UUID) -> None:
    """Take it away. Its history stays; its webhook's address and secret are gone."""
    ctx.require("trigger.write")
    async with tenant_session(ctx) as session:
        row = await find(session, ctx, trigger_id)
        row.enabled, row.next_due, row.next_at, row.token_hash, row.secret_hash = False, None, None, None, None
        row.removed_at = await database_now(session)
        session.add(row)
        await _record(session, ctx, row, "trigger_removed", {})
    if row.kind == "webhook":
        await secrets.forget(row)


async def renew_secret(ctx: Context, trigger_id: UUID) -> MadeTrigger:
    """A new address and secret for a webhook, shown this once; the old ones end. Raises Missing for other kinds."""
    ctx.require("trigger.write")
    async with tenant_session(ctx) as session:
        row = await find(session, ctx, trigger_id)
        stored = stored_config(row.config, row.kind)
        if not isinstance(stored, WebhookConfig):
            raise Missing("webhook")
        flow = await workflow_versions.find(session, ctx, row.workflow_id)
        secret = await secrets.give(row, stored.auth)
        _signed_by(ctx, row)
        session.add(row)
        await _record(session, ctx, row, "trigger_secret_renewed", {})
        fields = trigger_fields(row, flow.name, await database_now(session))
    return MadeTrigger(**fields, secret=secret.value)


async def find(session: AsyncSession, ctx: Context, trigger_id: UUID) -> Trigger:
    """The row, locked. Raises Missing."""
    found = await locked(session, ctx.client_id, Trigger.id == trigger_id)
    if not found:
        raise Missing("trigger")
    return found[0]


async def _require_room(session: AsyncSession, ctx: Context) -> None:
    query = (
        select(func.count())
        .select_from(Trigger)
        .where(Trigger.client_id == ctx.client_id, col(Trigger.removed_at).is_(None))
    )
    if (await session.exec(query)).one() >= MOST_TRIGGERS:
        message = f"A client may have at most {MOST_TRIGGERS} triggers."
        raise Invalid(message, code="too_many_triggers", params={"limit": MOST_TRIGGERS})


async def _apply(session: AsyncSession, ctx: Context, row: Trigger, change: Change) -> Workflow:
    """Put what is given into the row, and check the whole."""
    if change.name is not None:
        await _rename(session, ctx, row, change.name.strip())
    if change.mode is not None:
        check_mode(change.mode)
        row.mode = change.mode
    flow = await workflow_versions.find(session, ctx, change.workflow or row.workflow_id)
    row.workflow_id = flow.id
    if change.version is not None:
        row.version = change.version or None
    row.inputs = dict(change.inputs) if change.inputs is not None else row.inputs
    row.watch = row.watch if change.watch is None else change.watch
    if change.config is not None:
        kept = {"token": row.config["token"]} if "token" in row.config else {}
        before = stored_config(row.config, row.kind) if row.config else None
        parsed = parse_config(row.kind, change.config)
        _refuse_other_proof(before, parsed)
        row.config = {**parsed.model_dump(mode="json"), **kept}
        row.listens = parsed.on if isinstance(parsed, EventConfig) else None
    _signed_by(ctx, row)
    row.updated_at = await database_now(session)
    await _check(session, ctx, row, flow)
    return flow


def _refuse_other_proof(before: AnyConfig | None, after: AnyConfig) -> None:
    """What a sender proves itself with is not changed under its feet: its secret would be of the wrong kind."""
    if isinstance(before, WebhookConfig) and isinstance(after, WebhookConfig) and before.auth != after.auth:
        message = "Make a new webhook for another kind of proof."
        raise Invalid(message, problems=[Problem("auth_fixed", message, field="config.auth")])


def _signed_by(ctx: Context, row: Trigger) -> None:
    """Whoever wrote any of it is an author, and may not approve what it asks for."""
    person = ctx.actor.account_id
    if person is not None and person not in row.authors:
        row.authors = [*row.authors, person]


async def _rename(session: AsyncSession, ctx: Context, row: Trigger, name: str) -> None:
    code = "missing_param" if not name else "too_long" if len(name) > MAX_NAME else None
    taken = select(Trigger.id).where(
        Trigger.client_id == ctx.client_id,
        func.lower(Trigger.name) == name.lower(),
        col(Trigger.removed_at).is_(None),
        Trigger.id != row.id,
    )
    if code is None and (await session.exec(taken)).first():
        code = "name_taken"
    if code:
        words = {"missing_param": "Give it a name.", "name_taken": "There is a trigger with this name already."}
        message = words.get(code, f"A name has at most {MAX_NAME} characters.")
        raise Invalid(message, code=code, problems=[Problem(code, message, field="name")])
    row.name = name


async def _check(session: AsyncSession, ctx: Context, row: Trigger, flow: Workflow) -> None:
    """Whether it could start something, as far as can be seen now."""
    if row.watch and row.mode != "plan":
        message = "A watch only looks: its mode is plan."
        raise Invalid(message, problems=[Problem("watch_plans", message, field="mode")])
    number = row.version or flow.published_version
    if number is None:
        raise NotPublished(f"{flow.name} has no published version yet. Publish one, or name the version to run.")
    document = (await workflow_versions.find_version(session, ctx, flow.id, number)).document
    config = stored_config(row.config, row.kind)
    priority_of(ctx, config.priority)
    if not (isinstance(config, WebhookConfig) and config.take == "payload"):
        require_good_inputs(row.inputs, document.get("inputs") or {})
    if isinstance(config, ScheduleConfig):
        parse_schedule(config.cron, config.zone, now=await database_now(session), jitter_s=config.jitter_s)
    if isinstance(config, EventConfig):
        await _check_filters(session, ctx, config)


async def _check_filters(session: AsyncSession, ctx: Context, config: EventConfig) -> None:
    if config.workflow is not None:
        await workflow_versions.find(session, ctx, config.workflow)
    if config.trigger is not None and await session.get(Trigger, (ctx.client_id, config.trigger)) is None:
        raise Missing("trigger")


def _watched(row: Trigger) -> tuple[Any, ...]:
    """What the checks of a watch look at."""
    return row.watch, row.workflow_id, row.version, row.mode, row.inputs


@dataclass(frozen=True)
class _Waiting:
    """The times of a schedule that is on, and the first of them that was not dealt with yet."""

    cron: str
    zone: str
    due: datetime


def _waiting(row: Trigger) -> _Waiting | None:
    config = stored_config(row.config, row.kind)
    if not isinstance(config, ScheduleConfig) or not row.enabled or row.next_due is None:
        return None
    return _Waiting(config.cron, config.zone, row.next_due)


async def _switch_on(session: AsyncSession, ctx: Context, row: Trigger, waiting: _Waiting | None = None) -> None:
    """``waiting``, of a schedule that was on already: where its times are the same, what has come of them starts all
    the same."""
    ctx.require(permission_for(row.mode))
    if ctx.actor.account_id is None:
        message = "Only a person can switch a trigger on: its runs start in their name."
        raise Invalid(message, code="needs_person", problems=[Problem("needs_person", message, field="enabled")])
    now: datetime = await database_now(session)
    row.enabled, row.stopped, row.enabled_at = True, None, now
    row.enabled_by, row.enabled_by_name = ctx.actor.account_id, ctx.actor.name or ctx.actor.email
    _signed_by(ctx, row)
    config = stored_config(row.config, row.kind)
    if isinstance(config, ScheduleConfig):
        schedule = parse_schedule(config.cron, config.zone, now=now, jitter_s=config.jitter_s)
        goes_on = waiting is not None and (waiting.cron, waiting.zone) == (config.cron, config.zone)
        begun = first_turn(schedule, config.pace(row.id), now, waiting.due if waiting and goes_on else None)
        row.next_due, row.next_at = begun.next_due, begun.next_at


async def _record(session: AsyncSession, ctx: Context, row: Trigger, action: str, details: Json) -> None:
    target = f"trigger:{row.id}"
    await audit.record(session, ctx, action=action, target=target, details={"name": row.name, **details})
