"""A run read from the database with everything that a view of it shows."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, exists
from sqlalchemy import select as select_any
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Missing
from app.data.models.approvals import Approval, Reveal
from app.data.models.forms import Form
from app.data.models.runs import Run, RunPlan, RunQueue, StepEvent
from app.data.models.workflows import Workflow, WorkflowVersion
from app.engine.core.undo import effects, not_undoable
from app.services.approvals import decisions_of, names_in, why_not
from app.services.forms import forms_of
from app.services.run_pasts import Past, steps_of
from app.services.run_views import (
    ApprovalView,
    Followed,
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


async def view_of(session: AsyncSession, ctx: Context, run: Run, name: str) -> RunView:
    """The run as it is now."""
    document, plan, beside = await _beside(session, run)
    past = await past_of(session, ctx, run, document)
    state = past.state() if run.kind not in ("batch", "wave") else None
    together = await _row_plans(session, ctx, run) if run.kind == "batch" else []
    reveals = await _reveals(session, ctx, run) if beside["reveals"] and run.state != "queued" else []
    return RunView(
        **row_fields(run, name),
        inputs=run.inputs,
        document=past.document,
        steps=steps_of(state, past.history, plan),
        plan=tuple(plan.plan["steps"]) if plan else plans_together(together),
        differences=tuple(plan.plan["differences"]) if plan else (),
        approvals=await approvals_of(session, ctx, run, name) if beside["approvals"] else (),
        forms=await forms_of(session, ctx, run, name) if beside["forms"] else (),
        reveals=tuple(map(reveal_view, reveals)),
        **(await _undone(session, ctx, run) if beside["reversed"] else {}),
        left_behind=left_behind(past),
        held_back=tuple(run.extra.get("held_back", ())),
        runs=await rows_in(session, ctx, run, name) if run.kind == "batch" else (),
        cancel_requested_at=run.cancel_requested_at,
        pause_requested_at=run.pause_requested_at,
        effects=tuple(effects(state)) if state else (),
        followed_by=await _followed_by(session, ctx, run) if beside["followed"] or beside["reversed"] else (),
        seq=len(past.history),
    )


def _some(model: Any, condition: Any) -> Any:
    """Whether the client has a row of ``model`` that fits."""
    return exists().where(col(model.client_id) == bindparam("client"), condition).correlate(None)


_THIS: Any = bindparam("run")
_ABOUT: Any = bindparam("about", expanding=True)
_later = aliased(Run)
# Most runs have nothing of most kinds: one look says which, and only these are read.
_BESIDE = (
    select_any(
        WorkflowVersion.document,
        RunPlan,
        _some(Reveal, col(Reveal.run_id) == _THIS).label("reveals"),
        _some(Approval, col(Approval.run_id).in_(_ABOUT)).label("approvals"),
        _some(Form, col(Form.run_id) == _THIS).label("forms"),
        _some(_later, col(_later.of) == _THIS).label("reversed"),
        _some(_later, col(_later.follows) == _THIS).label("followed"),
    )
    .select_from(Run)
    .outerjoin(
        WorkflowVersion,
        (col(WorkflowVersion.client_id) == col(Run.client_id))
        & (col(WorkflowVersion.workflow_id) == col(Run.workflow_id))
        & (col(WorkflowVersion.version) == col(Run.version)),
    )
    .outerjoin(RunPlan, (col(RunPlan.client_id) == col(Run.client_id)) & (col(RunPlan.run_id) == col(Run.id)))
    .where(col(Run.client_id) == bindparam("client"), col(Run.id) == _THIS)
)


async def _beside(session: AsyncSession, run: Run) -> tuple[Json, RunPlan | None, Json]:
    """The document that the run executes, its plan, and what else there is of it: each kind, and whether."""
    about = [run.id, run.parent] if run.parent else [run.id]
    found = await session.execute(_BESIDE, {"client": run.client_id, "run": run.id, "about": about})
    document, plan, *some = found.one()
    kinds = ("reveals", "approvals", "forms", "reversed", "followed")
    return _own_document(run) or document or {}, plan, dict(zip(kinds, some, strict=True))


async def _reveals(session: AsyncSession, ctx: Context, run: Run) -> list[Reveal]:
    found = await session.exec(select(Reveal).where(Reveal.client_id == ctx.client_id, Reveal.run_id == run.id))
    return list(found.all())


async def _row_plans(session: AsyncSession, ctx: Context, head: Run) -> list[tuple[Run, RunPlan]]:
    """The rows of a batch that have been planned, with their plans."""
    found = await session.exec(
        select(Run, RunPlan)
        .join(RunPlan, (col(RunPlan.client_id) == col(Run.client_id)) & (col(RunPlan.run_id) == col(Run.id)))
        .where(Run.client_id == ctx.client_id, Run.parent == head.id)
        .order_by(col(Run.row_number))
    )
    return [(run, plan) for run, plan in found.all()]


async def rows_in(session: AsyncSession, ctx: Context, head: Run, name: str) -> tuple[RunRow, ...]:
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


def _own_document(run: Run) -> Json | None:
    """The draft that a run executes; None for a run of a version."""
    return run.extra.get("document", {}) if run.version is None else None


async def _document_of(session: AsyncSession, ctx: Context, run: Run) -> Json:
    """The document that the run executes: its own draft, or its version."""
    own = _own_document(run)
    if own is not None:
        return own
    version = await session.get(WorkflowVersion, (ctx.client_id, run.workflow_id, run.version))
    return version.document if version else {}


async def past_of(session: AsyncSession, ctx: Context, run: Run, document: Json | None = None) -> Past:
    """The run's document (where it is not at hand) and history; for an undo, those of the run that it reverses too."""
    first = await session.get(Run, (ctx.client_id, run.of)) if run.of else None
    return Past(
        document=await _document_of(session, ctx, run) if document is None else document,
        history=await _history(session, ctx, run.id),
        only_node=run.only_node,
        kept=run.extra.get("kept", ()),
        origin=await past_of(session, ctx, first) if first else None,
    )


def left_behind(past: Past) -> tuple[str, ...]:
    """For an undo: steps whose effect stays."""
    first = past.origin.state() if past.origin else None
    return tuple(not_undoable(first)) if first else ()


async def _followed_by(session: AsyncSession, ctx: Context, run: Run) -> tuple[Followed, ...]:
    query = select(Run).where(Run.client_id == ctx.client_id, Run.follows == run.id).order_by(col(Run.id))
    found = [*(await session.exec(query)).all(), *await _compensations(session, ctx, run)]
    return tuple(Followed(id=each.id, why=str(each.extra.get("why", "")), state=each.state) for each in found)


async def _compensations(session: AsyncSession, ctx: Context, run: Run) -> list[Run]:
    query = select(Run).where(Run.client_id == ctx.client_id, Run.of == run.id, Run.kind == "undo")
    return [each for each in (await session.exec(query)).all() if each.extra.get("why") == "compensation"]


async def _undone(session: AsyncSession, ctx: Context, run: Run) -> Json:
    query = (
        select(Run.id, Run.state)
        .where(Run.client_id == ctx.client_id, Run.of == run.id, Run.mode == "apply")
        .order_by(col(Run.id).desc())
    )
    found = (await session.exec(query)).first()
    return {"undone_by": found[0], "undone_state": found[1]} if found else {}


async def approvals_of(session: AsyncSession, ctx: Context, run: Run, name: str) -> tuple[ApprovalView, ...]:
    """Every question about the run, or about the batch that it is a row of."""
    about = [run.id, run.parent] if run.parent else [run.id]
    found = await session.exec(
        select(Approval)
        .where(Approval.client_id == ctx.client_id, col(Approval.run_id).in_(about))
        .order_by(col(Approval.id))
    )
    approvals = list(found.all())
    decisions = await decisions_of(session, ctx, [approval.id for approval in approvals])
    names = await names_in(session) if approvals else {}
    views = []
    for approval in approvals:
        objection = why_not(ctx, approval, decisions)
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
