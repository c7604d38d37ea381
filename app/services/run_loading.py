"""A run read from the database with everything that a view of it shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Missing
from app.data.models.approvals import Approval, Reveal
from app.data.models.runs import Run, RunPlan, RunQueue, StepEvent
from app.data.models.workflows import Workflow, WorkflowVersion
from app.data.repositories import batches
from app.data.repositories.run_reading import ReadRun, beside, read_run, read_run_in
from app.data.session import tenant_session
from app.engine.core.undo import effects, not_undoable
from app.services.approvals import decisions_of, names_in, why_not
from app.services.forms import forms_of
from app.services.known_versions import Version
from app.services.run_pasts import Past, steps_of
from app.services.run_views import (
    AnyRun,
    ApprovalView,
    Followed,
    FormView,
    RevealView,
    RunRow,
    RunView,
    approval_fields,
    plans_together,
    reveal_view,
    row_fields,
)

Json = dict[str, Any]


_OF_RUN = (col(Workflow.client_id) == col(Run.client_id)) & (col(Workflow.id) == col(Run.workflow_id))
_NAMED = (
    select(Run, Workflow.name)
    .join(Workflow, _OF_RUN)
    .where(Run.client_id == bindparam("client"), Run.id == bindparam("run"))
)
_LOCKED = _NAMED.with_for_update(of=Run)


async def find(session: AsyncSession, ctx: Context, run_id: UUID, *, lock: bool = False) -> tuple[Run, str]:
    """A run and its workflow's name. Raises Missing.

    ``lock`` keeps workers and other people from changing it until the commit: its place in the queue first, as workers
    do, so that nobody waits for the other.
    """
    if lock:
        place = select(RunQueue.run_id).where(RunQueue.client_id == ctx.client_id, RunQueue.run_id == run_id)
        await session.exec(place.with_for_update())
    found = (await session.exec(_LOCKED if lock else _NAMED, params={"client": ctx.client_id, "run": run_id})).first()
    if found is None:
        raise Missing("run")
    return found[0], found[1]


@dataclass(frozen=True)
class _More:
    """What most runs have nothing of. It is read in a session, each kind where there is something."""

    approvals: tuple[ApprovalView, ...] = ()
    forms: tuple[FormView, ...] = ()
    reveals: tuple[RevealView, ...] = ()
    undone: Json = field(default_factory=dict)
    followed_by: tuple[Followed, ...] = ()
    rows: tuple[RunRow, ...] = ()
    row_plans: tuple[Json, ...] = ()
    row_states: dict[str, int] = field(default_factory=dict)
    origin: Past | None = None


async def view(ctx: Context, run_id: UUID, *, rows: bool = True) -> RunView:
    """The run as it is now; a batch without its rows and their plans unless ``rows``. Raises Missing."""
    found = await read_run(ctx, run_id)
    if found and not found.has_more:
        return _view(found, _More())
    async with tenant_session(ctx, snapshot=True) as session:
        # All of it at one moment: nobody may be asked about a plan that is newer than the one they see.
        found = await read_run_in(session, ctx, run_id)
        if found is None:
            raise Missing("run")
        return _view(found, await _more(session, ctx, found, rows=rows))


async def step_states(ctx: Context, run_id: UUID) -> dict[str, str]:
    """The states of a run's steps by node; none before anything was done. Raises Missing."""
    found = await read_run(ctx, run_id)
    if found is None:
        raise Missing("run")
    return {step.node: step.state for step in steps_of(_past(found, None).state(), found.history, ())}


def _view(found: ReadRun, more: _More) -> RunView:
    run, plan = found.run, found.plan
    past = _past(found, more.origin)
    state = past.state() if run.kind not in ("batch", "wave") else None
    return RunView(
        **row_fields(run, found.workflow_name),
        inputs=run.inputs,
        document=past.document,
        steps=steps_of(state, past.history, plan["steps"] if plan else ()),
        plan=tuple(plan["steps"]) if plan else more.row_plans,
        differences=tuple(plan["differences"]) if plan else (),
        approvals=more.approvals,
        forms=more.forms,
        reveals=more.reveals,
        **more.undone,
        left_behind=left_behind(past),
        held_back=tuple(run.extra.get("held_back", ())),
        runs=more.rows,
        row_states=more.row_states,
        cancel_requested_at=run.cancel_requested_at,
        pause_requested_at=run.pause_requested_at,
        effects=tuple(effects(state)) if state else (),
        followed_by=more.followed_by,
        seq=len(past.history),
    )


def _past(found: ReadRun, origin: Past | None) -> Past:
    run, document = found.run, found.document
    version = None
    if document is not None and run.version is not None:
        version = Version(run.client_id, run.workflow_id, run.version, document)
    return Past(
        document=_own_document(run) or document or {},
        history=found.history,
        only_node=run.only_node,
        kept=run.extra.get("kept", ()),
        origin=origin,
        version=version,
    )


async def _more(session: AsyncSession, ctx: Context, found: ReadRun, *, rows: bool) -> _More:
    run, name, there = found.run, found.workflow_name, await beside(session, ctx, found.run.id)
    is_batch = run.kind == "batch"
    whole = is_batch and rows
    first = await session.get(Run, (ctx.client_id, run.of)) if run.of else None
    reveals = await _reveals(session, ctx, run) if there.reveals and run.state != "queued" else []
    return _More(
        approvals=await approvals_of(session, ctx, run, name) if there.approvals else (),
        forms=await forms_of(session, ctx, run, name) if there.forms else (),
        reveals=tuple(map(reveal_view, reveals)),
        undone=await _undone(session, ctx, run) if there.reversed else {},
        followed_by=await _followed_by(session, ctx, run) if there.followed or there.reversed else (),
        rows=await _rows(session, ctx, run, name) if whole else (),
        row_plans=plans_together(await _row_plans(session, ctx, run)) if whole else (),
        row_states=await batches.states(session, ctx.client_id, run.id) if is_batch else {},
        origin=await past_of(session, ctx, first) if first else None,
    )


async def _reveals(session: AsyncSession, ctx: Context, run: AnyRun) -> list[Reveal]:
    found = await session.exec(select(Reveal).where(Reveal.client_id == ctx.client_id, Reveal.run_id == run.id))
    return list(found.all())


async def _row_plans(session: AsyncSession, ctx: Context, head: AnyRun) -> list[tuple[Run, RunPlan]]:
    """The rows of a batch that have been planned, with their plans."""
    found = await session.exec(
        select(Run, RunPlan)
        .join(RunPlan, (col(RunPlan.client_id) == col(Run.client_id)) & (col(RunPlan.run_id) == col(Run.id)))
        .where(Run.client_id == ctx.client_id, Run.parent == head.id)
        .order_by(col(Run.row_number))
    )
    return [(run, plan) for run, plan in found.all()]


async def _rows(session: AsyncSession, ctx: Context, head: AnyRun, name: str) -> tuple[RunRow, ...]:
    """The rows of a batch, in the table's order."""
    found = await session.exec(
        select(Run)
        .where(Run.client_id == ctx.client_id, Run.parent == head.id)
        .order_by(col(Run.row_number), col(Run.id))
    )
    return tuple(RunRow(**row_fields(run, name)) for run in found.all())


_HISTORY = (
    select(StepEvent)
    .where(StepEvent.client_id == bindparam("client"), StepEvent.run_id == bindparam("run"))
    .order_by(col(StepEvent.seq))
)


async def _history(session: AsyncSession, ctx: Context, run_id: UUID) -> list[StepEvent]:
    found = await session.exec(_HISTORY, params={"client": ctx.client_id, "run": run_id})
    return list(found.all())


def _own_document(run: AnyRun) -> Json | None:
    """The draft that a run executes; None for a run of a version."""
    return run.extra.get("document", {}) if run.version is None else None


async def _document_of(session: AsyncSession, ctx: Context, run: Run) -> Json:
    """The document that the run executes: its own draft, or its version."""
    own = _own_document(run)
    if own is not None:
        return own
    version = await session.get(WorkflowVersion, (ctx.client_id, run.workflow_id, run.version))
    return version.document if version else {}


async def past_of(session: AsyncSession, ctx: Context, run: Run) -> Past:
    """The run's document and history; for an undo, those of the run that it reverses too."""
    first = await session.get(Run, (ctx.client_id, run.of)) if run.of else None
    return Past(
        document=await _document_of(session, ctx, run),
        history=await _history(session, ctx, run.id),
        only_node=run.only_node,
        kept=run.extra.get("kept", ()),
        origin=await past_of(session, ctx, first) if first else None,
    )


def left_behind(past: Past) -> tuple[str, ...]:
    """For an undo: steps whose effect stays."""
    first = past.origin.state() if past.origin else None
    return tuple(not_undoable(first)) if first else ()


async def _followed_by(session: AsyncSession, ctx: Context, run: AnyRun) -> tuple[Followed, ...]:
    query = select(Run).where(Run.client_id == ctx.client_id, Run.follows == run.id).order_by(col(Run.id))
    found = [*(await session.exec(query)).all(), *await _compensations(session, ctx, run)]
    return tuple(Followed(id=each.id, why=str(each.extra.get("why", "")), state=each.state) for each in found)


async def _compensations(session: AsyncSession, ctx: Context, run: AnyRun) -> list[Run]:
    query = select(Run).where(Run.client_id == ctx.client_id, Run.of == run.id, Run.kind == "undo")
    return [each for each in (await session.exec(query)).all() if each.extra.get("why") == "compensation"]


async def _undone(session: AsyncSession, ctx: Context, run: AnyRun) -> Json:
    query = (
        select(Run.id, Run.state)
        .where(Run.client_id == ctx.client_id, Run.of == run.id, Run.mode == "apply")
        .order_by(col(Run.id).desc())
    )
    found = (await session.exec(query)).first()
    return {"undone_by": found[0], "undone_state": found[1]} if found else {}


async def approvals_of(session: AsyncSession, ctx: Context, run: AnyRun, name: str) -> tuple[ApprovalView, ...]:
    """Every question about the run, or about the batch that it is a row of."""
    about = [run.id, run.parent] if run.parent else [run.id]
    found = await session.exec(
        select(Approval, func.clock_timestamp())
        .where(Approval.client_id == ctx.client_id, col(Approval.run_id).in_(about))
        .order_by(col(Approval.id))
    )
    approvals = list(found.all())
    decisions = await decisions_of(session, ctx, [approval.id for approval, _ in approvals])
    names = await names_in(session) if approvals else {}
    views = []
    for approval, now in approvals:
        objection = why_not(ctx, approval, decisions, now)
        shown = approval_fields(approval, decisions, names)
        views.append(
            ApprovalView(
                **shown,
                may_decide=objection is None,
                why_not=objection,
                workflow_name=name,
                label=run.label,
                summary=run.summary,
                kind=run.kind,
                of=run.of,
            )
        )
    return tuple(views)
