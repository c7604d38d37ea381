"""Forms: what people are asked to fill in, and the one function that takes an answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Forbidden, Invalid, Missing, Stale
from app.core.run_states import OVER
from app.core.settings import get_settings
from app.data.models.approvals import Approval
from app.data.models.forms import Form
from app.data.models.runs import Run
from app.data.models.workflows import Workflow
from app.data.repositories import audit
from app.data.session import after_commit, tenant_session
from app.engine.core.inputs import check_inputs
from app.engine.runtime.wakeup import wake
from app.engine.runtime.waking import hold_place, wake_run
from app.services.approvals import named_or_in_role, names_in
from app.services.run_views import AnyRun, FormView

Json = dict[str, Any]


async def list_forms(ctx: Context, *, state: str | None = "open", limit: int = 200) -> list[FormView]:
    """The client's forms, newest first, each with whether ``ctx`` may answer it."""
    ctx.require("form.read")
    async with tenant_session(ctx) as session:
        query = (
            select(Form, Run, Workflow.name, func.clock_timestamp())
            .join(Run, (col(Run.client_id) == col(Form.client_id)) & (col(Run.id) == col(Form.run_id)))
            .join(
                Workflow, (col(Workflow.client_id) == col(Run.client_id)) & (col(Workflow.id) == col(Run.workflow_id))
            )
            .where(Form.client_id == ctx.client_id)
            .order_by(col(Form.id).desc())
            .limit(limit)
        )
        if state:
            query = query.where(Form.state == state)
        found = (await session.exec(query)).all()
        names = await names_in(session) if found else {}
    return [_view(ctx, form, run, name, names, now) for form, run, name, now in found]


async def get(ctx: Context, form_id: UUID) -> FormView:
    """One form. Raises Missing."""
    ctx.require("form.read")
    async with tenant_session(ctx) as session:
        form, run, name, now = await _find(session, ctx, form_id)
        return _view(ctx, form, run, name, await names_in(session), now)


async def answer(ctx: Context, form_id: UUID, *, answer: Mapping[str, Any]) -> FormView:
    """Fill in a form; the run goes on with what was said.

    Raises Invalid with every wrong field (``answer.<name>``), Forbidden for whoever is not asked, Stale where it has
    been answered, has run out or was withdrawn.
    """
    ctx.require("form.answer")
    async with tenant_session(ctx) as session:
        form, run, name, now = await _find(session, ctx, form_id, lock=True)
        objection = why_not(ctx, form, run, now)
        if objection == "role":
            await _refused(session, ctx, form)
        elif objection is None:
            await _record(session, ctx, form, answer, now)
        names = await names_in(session)
        view = _view(ctx, form, run, name, names, now)
    if objection == "role":
        raise Forbidden("form.answer", code="form_role")
    if objection is not None:
        raise Stale("This form has been answered, has run out or was withdrawn.", code="form_closed")
    return view


def why_not(ctx: Context, form: Form, run: AnyRun, now: datetime) -> str | None:
    """Why ``ctx`` may not answer ``now``, by the database's clock: ``closed`` or ``role``; None where they may."""
    late = form.deadline is not None and form.deadline <= now
    if form.state != "open" or late or run.state in OVER:
        return "closed"
    if ctx.actor.account_id is None or not named_or_in_role(ctx, form.rule) or "form.answer" not in ctx.permissions:
        return "role"
    return None


async def forms_of(session: AsyncSession, ctx: Context, run: AnyRun, name: str) -> tuple[FormView, ...]:
    """The forms of one run, oldest first; none for whoever may not see them."""
    if "form.read" not in ctx.permissions:
        return ()
    found = await session.exec(
        select(Form, func.clock_timestamp())
        .where(Form.client_id == ctx.client_id, Form.run_id == run.id)
        .order_by(col(Form.id))
    )
    forms = list(found.all())
    names = await names_in(session) if forms else {}
    return tuple(_view(ctx, form, run, name, names, now) for form, now in forms)


async def _record(session: AsyncSession, ctx: Context, form: Form, given: Mapping[str, Any], now: datetime) -> None:
    values, problems = check_inputs(form.questions, given, "answer")
    if problems:
        raise Invalid("Some fields are wrong.", code="answer_invalid", problems=problems)
    form.state, form.answer = "answered", values
    form.answered_by, form.answered_at = ctx.actor.account_id, now
    session.add(form)
    await session.flush()
    await _take_no_part(session, ctx, form)
    await wake_run(session, ctx.client_id, form.run_id)
    # The values are kept with the run; the trail says who filled in what, not what they said.
    details = {"run": str(form.run_id), "node": form.node, "fields": sorted(values)}
    await audit.record(session, ctx, action="form_answered", target=f"form:{form.id}", details=details)
    after_commit(session, lambda: wake(get_settings().redis_url))


async def _take_no_part(session: AsyncSession, ctx: Context, form: Form) -> None:
    """Whoever says what a run goes on with does not answer the questions about it that are open."""
    found = await session.exec(
        select(Approval)
        .where(Approval.client_id == ctx.client_id, Approval.run_id == form.run_id, Approval.state == "open")
        .with_for_update()
    )
    for approval in found.all():
        excluded = {*approval.rule.get("excluded", ()), str(ctx.actor.account_id)}
        approval.rule = {**approval.rule, "excluded": sorted(excluded)}
        session.add(approval)


async def _refused(session: AsyncSession, ctx: Context, form: Form) -> None:
    target = f"form:{form.id}"
    await audit.record(session, ctx, action="form_refused", target=target, outcome="denied", details={"why": "role"})


async def _find(
    session: AsyncSession, ctx: Context, form_id: UUID, *, lock: bool = False
) -> tuple[Form, Run, str, datetime]:
    """The form, its run, its workflow's name and the time by the database's clock. Raises Missing."""
    query = select(Form, func.clock_timestamp()).where(Form.client_id == ctx.client_id, Form.id == form_id)
    if lock:
        await hold_place(session, ctx.client_id, Form, form_id)
        query = query.with_for_update()
    found = (await session.exec(query)).first()
    if found is None:
        raise Missing("form")
    form, now = found
    run = await session.get(Run, (ctx.client_id, form.run_id))
    assert run is not None
    flow = await session.get(Workflow, (ctx.client_id, run.workflow_id))
    return form, run, flow.name if flow else "", now


def _view(ctx: Context, form: Form, run: AnyRun, workflow: str, names: Mapping[UUID, str], now: datetime) -> FormView:
    objection = why_not(ctx, form, run, now)
    return FormView(
        id=form.id,
        run_id=form.run_id,
        node=form.node,
        title=form.title,
        message=form.message,
        fields=form.questions,
        roles=tuple(form.rule.get("roles", ())),
        people=tuple(form.rule.get("people", ())),
        state=form.state,
        asked_by=names.get(form.asked_by, "") if form.asked_by else "",
        asked_at=form.asked_at,
        deadline=form.deadline,
        reminded_at=form.reminded_at,
        answer=form.answer,
        answered_by=names.get(form.answered_by, "") if form.answered_by else "",
        answered_at=form.answered_at,
        may_answer=objection is None,
        why_not=objection,
        workflow_name=workflow,
        label=run.label,
    )
