"""Waves: one workflow of the MSP run over many clients, stage by stage, each in its own client.

What is started here is a run of kind ``wave``; :mod:`app.engine.runtime.wave` carries it on. Every client that was
chosen has a row, and one that was not run says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from app.core.clock import utcnow
from app.core.context import Context
from app.core.errors import Stale
from app.core.ids import new_id
from app.core.run_states import OVER
from app.core.settings import get_settings
from app.data.models.runs import Run, WaveTarget
from app.data.models.workflows import WorkflowVersion
from app.data.repositories import audit
from app.data.session import after_commit, tenant_session
from app.engine.core.document import content_hash, parse_document
from app.engine.core.waves import stages_of
from app.engine.runtime.wakeup import wake
from app.engine.runtime.waking import wake_run
from app.services import workflow_versions
from app.services.clients import ClientView
from app.services.inputs import checked
from app.services.run_rules import priority_name, priority_of
from app.services.start_documents import NotPublished
from app.services.start_keys import Asked, Mode, by_key
from app.services.starts import check_mode, label_of
from app.services.wave_loading import find_wave, targets_of
from app.services.wave_matrix import Matrix, told_of
from app.services.wave_preparing import PREPARED_WITHIN, prepare_all, until_prepared
from app.services.wave_rules import check_rules, chosen_clients, planned_clients
from app.services.wave_steering import cancel, pause, resume
from app.services.wave_views import TargetView, WaveView, target_view, wave_view

__all__ = [
    "Matrix",
    "TargetView",
    "WaveView",
    "cancel",
    "carry_out",
    "get",
    "list_waves",
    "pause",
    "resume",
    "start",
]

Json = dict[str, Any]


async def start(
    ctx: Context,
    *,
    workflow: UUID | str,
    version: int | None = None,
    inputs: Mapping[str, Any] | None = None,
    mode: Mode = "plan",
    to: Sequence[str] = (),
    tags: Sequence[str] = (),
    canary: Sequence[str] = (),
    percents: Sequence[float] = (10, 50),
    pause_s: float | Literal["manual"] = 0.0,
    stop_at_percent: float = 20.0,
    plan: UUID | None = None,
    idempotency_key: str | None = None,
    priority: str = "normal",
) -> UUID:
    """Start a wave over the clients named in ``to`` (slugs) or tagged with one of ``tags``; gives its id. The same
    ``idempotency_key`` gives the wave that it started the first time.

    ``canary`` are the clients of the first stage, ``percents`` the shares of all clients after which a stage ends.
    ``plan`` names a finished wave of mode plan: each client's run must then still do what was planned there. Clients
    that have no usable plan in it are not run, and the shares are those of the others. ``priority`` is that of each
    client's run among the client's own.

    Raises Forbidden, Missing, NotPublished, Stale where ``plan`` is of no use, and Invalid naming each client, share or
    input that is wrong, or the canary where none of it could be planned.
    """
    ctx.require("wave.start")
    check_mode(mode)
    urgency = priority_of(ctx, priority)
    over = {"to": sorted(set(to)), "tags": sorted(set(tags))}
    details = {**over, "canary": sorted(set(canary)), "percents": [float(share) for share in percents]}
    details |= {
        "pause_s": pause_s if pause_s == "manual" else float(pause_s),
        "stop_at_percent": float(stop_at_percent),
    }
    details |= {"version": version, "plan": plan, "priority": priority}
    asked = Asked(workflow, mode, inputs or {}, idempotency_key, kind="wave", details=details)
    if earlier := await _earlier(ctx, asked, over):
        return earlier
    chosen = await chosen_clients(ctx, to, tags)
    check_rules(chosen, canary, percents, pause_s, stop_at_percent)
    head, origin = await _head(ctx, workflow, version, inputs or {}, mode, plan)
    planned = await planned_clients(ctx, plan, chosen, canary) if plan else [one.slug for one in chosen]
    stages = stages_of(planned, canary, percents)
    rules = {"canary": list(canary), "percents": list(percents), "stages": len(stages), "over": over}
    head.extra = {"wave": {**rules, "pause_s": pause_s, "stop_at_percent": stop_at_percent}, **asked.kept}
    head.extra["preparing_until"] = until_prepared()
    place = {slug: number for number, stage in enumerate(stages) for slug in stage}
    head.idempotency_key, head.priority = idempotency_key, urgency
    try:
        await _store(ctx, head, chosen, place)
    except IntegrityError:
        # Somebody started it with the same key at the same moment: theirs is the wave.
        if not idempotency_key or not (earlier := await _earlier(ctx, asked, over)):
            raise
        return earlier
    await prepare_all(ctx, head, chosen, origin, plan)
    await _prepared(ctx, head.id)
    return head.id


async def _earlier(ctx: Context, asked: Asked, over: Json) -> UUID | None:
    """The wave that this key has started. Raises Stale where it was started for something else."""
    if not asked.key:
        return None
    async with tenant_session(ctx) as session:
        found = await by_key(session, ctx, asked)
        if found and (await find_wave(session, ctx, found)).extra["wave"].get("over") != over:
            message = "This idempotency key has started another wave. Take a new key for another start."
            raise Stale(message, code="idempotency_other", params={"run": str(found)})
    return found


async def carry_out(ctx: Context, plan: UUID, *, idempotency_key: str | None = None) -> UUID:
    """Start the wave that was planned, over the same clients and by the same rules; gives its id.

    A client that could not be planned is not run, and says so. Raises as :func:`start`.
    """
    view = await get(ctx, plan)
    async with tenant_session(ctx) as session:
        head = await find_wave(session, ctx, plan)
    rules = head.extra["wave"]
    return await start(
        ctx,
        workflow=view.workflow_id,
        mode="apply",
        to=[target.client for target in view.targets],
        canary=rules["canary"],
        percents=rules["percents"],
        pause_s=rules["pause_s"],
        stop_at_percent=rules["stop_at_percent"],
        plan=plan,
        idempotency_key=idempotency_key,
        priority=priority_name(head.priority),
    )


async def list_waves(ctx: Context, *, limit: int = 50) -> list[WaveView]:
    """The waves that were started from this client, newest first, without their clients."""
    ctx.require("run.read")
    async with tenant_session(ctx) as session:
        query = select(Run).where(Run.client_id == ctx.client_id, Run.kind == "wave").order_by(col(Run.id).desc())
        found = (await session.exec(query.limit(min(limit, 200)))).all()
        return [wave_view(run, (await workflow_versions.find(session, ctx, run.workflow_id)).name) for run in found]


async def get(ctx: Context, wave_id: UUID, *, matrix: Matrix | None = None) -> WaveView:
    """One wave with its clients, through ``matrix`` also with the states of their steps. Raises Missing."""
    ctx.require("run.read")
    async with tenant_session(ctx) as session:
        run = await find_wave(session, ctx, wave_id)
        name = (await workflow_versions.find(session, ctx, run.workflow_id)).name
        targets = await targets_of(session, ctx, wave_id)
    inside = await matrix.of(ctx, targets) if matrix else {}
    told = await told_of(ctx, targets)
    shown = (target_view(one, inside.get(one.target, {}), told=one.target in told) for one in targets)
    return wave_view(run, name).model_copy(update={"targets": tuple(shown)})


async def _head(
    ctx: Context, workflow: UUID | str, version: int | None, inputs: Mapping[str, Any], mode: Mode, plan: UUID | None
) -> tuple[Run, WorkflowVersion]:
    """The wave's own run, and the version that all clients get."""
    async with tenant_session(ctx) as session:
        flow = await workflow_versions.find(session, ctx, workflow)
        number = version or flow.published_version
        if plan:
            planned = await find_wave(session, ctx, plan)
            if planned.mode != "plan" or planned.state not in OVER or planned.workflow_id != flow.id:
                raise Stale("This is not a finished plan of this workflow.", code="plan_unusable")
            number, inputs = planned.version, planned.inputs
        if number is None:
            raise NotPublished(f"{flow.name} has no published version yet. Publish one, or name the version to run.")
        found = await workflow_versions.find_version(session, ctx, flow.id, number)
        document = parse_document(found.document)
        run = Run(client_id=ctx.client_id, id=new_id(), kind="wave", workflow_id=flow.id, document_hash="", mode=mode)
        run.version, run.document_hash, run.sealed_plan = number, content_hash(document), plan
        run.inputs = checked(document.inputs, inputs)
        run.label = label_of(document.inputs, run.inputs) or flow.name
    return run, found


async def _store(ctx: Context, head: Run, chosen: Sequence[ClientView], place: Mapping[str, int]) -> None:
    """The wave and its clients, before any of them is touched. A worker looks at it should we not come back."""
    head.started_by, head.started_by_name = ctx.actor.account_id, ctx.actor.name or ctx.actor.email
    async with tenant_session(ctx) as session:
        session.add(head)
        await session.flush()
        for client in chosen:
            session.add(
                WaveTarget(
                    client_id=ctx.client_id,
                    run_id=head.id,
                    target=client.id,
                    slug=client.slug,
                    name=client.name,
                    # Who is not run takes no place in a later stage.
                    stage=place.get(client.slug, 0),
                    # Named before it is made, so that a run whose maker dies right afterwards is found.
                    target_run=new_id(),
                )
            )
        await wake_run(session, ctx.client_id, head.id, at=utcnow() + PREPARED_WITHIN)
        details = {"mode": head.mode, "workflow": str(head.workflow_id), "version": head.version}
        details["clients"] = [client.slug for client in chosen]
        await audit.record(session, ctx, action="wave_started", target=f"run:{head.id}", details=details)


async def _prepared(ctx: Context, wave_id: UUID) -> None:
    """From now on the wave is its head's."""
    async with tenant_session(ctx) as session:
        run = await find_wave(session, ctx, wave_id, lock=True)
        run.extra = {**run.extra, "preparing_until": None}
        session.add(run)
        await session.flush()
        await wake_run(session, ctx.client_id, wave_id)
        after_commit(session, lambda: wake(get_settings().redis_url))
