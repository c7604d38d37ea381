"""A run as it was at a past moment: the fold of its history up to there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.context import Context
from app.core.errors import Invalid, Problem, Stale
from app.data.models.runs import Run, RunPlan
from app.data.session import tenant_session
from app.engine.core.state import RunState
from app.engine.core.undo import effects
from app.engine.runtime.ending import done_summary
from app.services.run_loading import approvals_of, find, left_behind, past_of
from app.services.run_pasts import AnyEvent, Past, steps_of
from app.services.run_views import ApprovalView, RunView, row_fields

Json = dict[str, Any]


async def at(ctx: Context, run_id: UUID, moment: int | datetime) -> RunView:
    """The run after its first ``moment`` events, or as it was at that time (with a time zone).

    Steps, outputs, changes, answers and its state are those of then. Raises Missing, Invalid for a moment that it never
    had, Stale for a batch, which has no history of its own.
    """
    ctx.require("run.read")
    async with tenant_session(ctx) as session:
        run, name = await find(session, ctx, run_id)
        if run.kind in ("batch", "wave"):
            raise Stale("A batch has no history of its own. Look at its rows.", code="no_history")
        whole = await past_of(session, ctx, run)
        past = _until(run, whole, moment)
        time = moment if isinstance(moment, datetime) else _time(run, past.history)
        until = moment if isinstance(moment, datetime) else _next(whole, moment)
        plan = await session.get(RunPlan, (ctx.client_id, run.id))
        questions = await approvals_of(session, ctx, run, name)
    # A run that waited was planned again, over the plan before: an old plan is not kept beside the new one.
    shown = plan if plan and (until is None or plan.created_at < until) else None
    asked = [_then(question, time) for question in questions if until is None or question.asked_at < until]
    return _view(run, name, past, shown, asked, time)


def _until(run: Run, past: Past, moment: int | datetime) -> Past:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise _no_moment("Say the time with its zone, as 2026-01-31T09:00:00Z.")
        if moment < run.created_at:
            raise _no_moment("The run was not there yet.")
        return replace(past, history=[event for event in past.history if event.at <= moment])
    if not 0 <= moment <= len(past.history):
        raise _no_moment(f"The run has {len(past.history)} events.")
    return replace(past, history=past.history[:moment])


def _no_moment(message: str) -> Invalid:
    return Invalid(message, code="no_moment", problems=[Problem("no_moment", message, field="at")])


def _time(run: Run, history: Sequence[AnyEvent]) -> datetime:
    return history[-1].at if history else run.created_at


def _next(past: Past, number: int) -> datetime | None:
    """When the event after that number came: what was asked before belongs to the moment, though it has no event."""
    return past.history[number].at if number < len(past.history) else None


def _then(asked: ApprovalView, time: datetime) -> ApprovalView:
    """A question with the answers that it had by then. Nobody can answer it in the past."""
    said = tuple(decision for decision in asked.decisions if decision.at <= time)
    settled = asked.state if asked.decided_at and asked.decided_at <= time else "open"
    return asked.model_copy(update={"decisions": said, "state": settled, "may_decide": False, "why_not": "closed"})


def _view(
    run: Run, name: str, past: Past, plan: RunPlan | None, questions: Sequence[ApprovalView], time: datetime
) -> RunView:
    state = past.state()
    over = state is not None and state.outcome is not None
    fields = {
        **row_fields(run, name),
        "state": _state(state, past.history, questions),
        "reason": run.reason if over and state and state.outcome == run.state else None,
        "summary": done_summary(state) if state and past.history else {},
        "started_at": run.started_at if run.started_at and run.started_at <= time else None,
        "finished_at": past.history[-1].at if over else None,
    }
    return RunView(
        **fields,
        inputs=run.inputs,
        document=past.document,
        steps=steps_of(state, past.history, plan.plan["steps"] if plan else ()),
        plan=tuple(plan.plan["steps"]) if plan else (),
        differences=(),
        approvals=tuple(questions),
        reveals=(),
        left_behind=left_behind(past),
        effects=tuple(effects(state)) if state else (),
        seq=len(past.history),
        at=time,
    )


def _state(state: RunState | None, history: Sequence[AnyEvent], questions: Sequence[ApprovalView]) -> str:
    if state is None or not history:
        return "waiting" if any(asked.state == "open" for asked in questions) else "queued"
    if state.outcome is not None:
        return state.outcome
    if state.paused:
        return "paused"
    idle = not (state.running or state.ready or state.to_skip) and bool(state.waiting or state.unknown)
    return "waiting" if idle else "running"
