"""Approvals: what waits for whom, and the one function that decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Forbidden, Invalid, Missing, Problem, Stale
from app.core.settings import get_settings
from app.data import doors
from app.data.models.approvals import Approval, ApprovalDecision
from app.data.models.runs import Run
from app.data.models.workflows import Workflow
from app.data.repositories import audit
from app.data.session import after_commit, tenant_session
from app.engine.runtime.wakeup import wake
from app.engine.runtime.waking import hold_place, wake_run
from app.services import auth
from app.services.run_views import ApprovalView, approval_fields

Json = dict[str, Any]
DECISIONS = ("approve", "deny")


async def list_approvals(ctx: Context, *, state: str | None = "open", limit: int = 200) -> list[ApprovalView]:
    """The client's approvals, those to be answered first, each with whether ``ctx`` may answer it."""
    ctx.require("approval.read")
    async with tenant_session(ctx) as session:
        query = (
            select(Approval, Run, Workflow.name, func.clock_timestamp())
            .join(Run, (col(Run.client_id) == col(Approval.client_id)) & (col(Run.id) == col(Approval.run_id)))
            .join(
                Workflow, (col(Workflow.client_id) == col(Run.client_id)) & (col(Workflow.id) == col(Run.workflow_id))
            )
            .where(Approval.client_id == ctx.client_id)
            .order_by(col(Approval.id).desc())
            .limit(limit)
        )
        if state:
            query = query.where(Approval.state == state)
        found = (await session.exec(query)).all()
        decisions = await decisions_of(session, ctx, [approval.id for approval, *_ in found])
        names = await names_in(session)
    return [_view(ctx, approval, run, name, decisions, names, now) for approval, run, name, now in found]


async def get(ctx: Context, approval_id: UUID) -> ApprovalView:
    """One approval. Raises Missing."""
    ctx.require("approval.read")
    async with tenant_session(ctx) as session:
        approval, run, name, now = await _find(session, ctx, approval_id)
        decisions = await decisions_of(session, ctx, [approval.id])
        return _view(ctx, approval, run, name, decisions, await names_in(session), now)


async def decide(
    ctx: Context,
    approval_id: UUID,
    *,
    decision: str,
    seal: str | None,
    reason: str = "",
    otp: str | None = None,
    mfa: bool = False,
) -> ApprovalView:
    """Say yes or no to what was seen under ``seal``. A yes needs a code from the second factor: ``otp`` (empty where
    the session has just given one), or ``mfa`` from a caller that has just had one. What is refused spends no code.

    Raises Stale where the seal has moved or the question is closed, Forbidden for whoever asked for, wrote or published
    what is decided, or does not hold one of the roles; Invalid for another word than ``approve`` or ``deny``, and for a
    denial without a reason.
    """
    ctx.require("approval.decide") if not await _is_own_confirmation(ctx, approval_id) else ctx.require("run.start")
    _check_words(decision, reason)
    if not mfa and (otp or decision == "approve") and await _may_answer(ctx, approval_id, seal):
        await auth.require_step_up(ctx.actor, otp or "")
        mfa = True
    async with tenant_session(ctx) as session:
        approval, run, name, now = await _find(session, ctx, approval_id, lock=True)
        decisions = await decisions_of(session, ctx, [approval.id])
        objection = why_not(ctx, approval, decisions, now)
        if objection:
            await _refused(session, ctx, approval, objection)
        elif approval.seal != seal:
            raise Stale("What you saw is no longer what would be done. Look again.", code="seal_moved")
        elif decision == "approve" and not mfa:
            raise auth.WrongCode("code_missing", "Type the code that your authenticator shows.")
        else:
            await _record(session, ctx, approval, decision, reason, mfa)
            decisions = await decisions_of(session, ctx, [approval.id])
            await _settle(session, ctx, approval, decisions, decision, reason, now)
        view = _view(ctx, approval, run, name, decisions, await names_in(session), now)
    if objection == "closed":
        raise Stale("Somebody else has answered this already.", code="approval_closed")
    if objection:
        raise Forbidden("approval.decide", code=f"approval_{objection}")
    return view


async def _may_answer(ctx: Context, approval_id: UUID, seal: str | None) -> bool:
    """Whether an answer now would count, as far as can be seen without the lock."""
    async with tenant_session(ctx) as session:
        approval, _, _, now = await _find(session, ctx, approval_id)
        decisions = await decisions_of(session, ctx, [approval.id])
        return why_not(ctx, approval, decisions, now) is None and approval.seal == seal


def why_not(ctx: Context, approval: Approval, decisions: Sequence[ApprovalDecision], now: datetime) -> str | None:
    """Why ``ctx`` may not answer ``now``, by the database's clock: ``closed``, ``own``, ``author``, ``role``,
    ``answered``; None where they may.

    An empty list of roles means nobody. Being the only approver changes nothing.
    """
    person, rule = ctx.actor.account_id, approval.rule
    if approval.state != "open" or (approval.deadline is not None and approval.deadline <= now):
        return "closed"
    if person is None:
        return "role"
    if approval.asked_by == person and not rule.get("own"):
        return "own"
    if str(person) in rule.get("excluded", ()) and not rule.get("own"):
        return "author"
    if not named_or_in_role(ctx, rule):
        return "role"
    if any(d.account_id == person for d in decisions if d.approval_id == approval.id):
        return "answered"
    return None


def named_or_in_role(ctx: Context, rule: Mapping[str, Any]) -> bool:
    """Whether ``ctx`` is one of those who are asked: where people are named, only they are."""
    people = rule.get("people") or ()
    if people:
        return auth.email_key(ctx.actor.email) in {auth.email_key(person) for person in people}
    return ctx.role in rule.get("roles", ())


def _check_words(decision: str, reason: str) -> None:
    if decision not in DECISIONS:
        message = "Say approve or deny."
        raise Invalid(message, problems=[Problem("not_one_of", message, field="decision")])
    if decision == "deny" and not reason.strip():
        message = "Say why, so that whoever asked knows what to change."
        raise Invalid(message, problems=[Problem("missing_param", message, field="reason")])


async def _is_own_confirmation(ctx: Context, approval_id: UUID) -> bool:
    """Whether this only confirms that a run goes on, which whoever may start runs may do."""
    async with tenant_session(ctx) as session:
        approval, *_ = await _find(session, ctx, approval_id)
        return bool(approval.rule.get("own"))


async def _record(
    session: AsyncSession, ctx: Context, approval: Approval, decision: str, reason: str, mfa: bool
) -> None:
    assert ctx.actor.account_id is not None
    session.add(
        ApprovalDecision(
            client_id=ctx.client_id,
            approval_id=approval.id,
            account_id=ctx.actor.account_id,
            decision=decision,
            reason=reason.strip(),
            seal=approval.seal,
            mfa=mfa,
        )
    )
    await session.flush()
    details = {"decision": decision, "reason": reason.strip(), "seal": approval.seal, "run": str(approval.run_id)}
    target = f"approval:{approval.id}"
    await audit.record(session, ctx, action="approval_decided", target=target, details=details)


async def _settle(
    session: AsyncSession,
    ctx: Context,
    approval: Approval,
    decisions: Sequence[ApprovalDecision],
    decision: str,
    reason: str,
    now: datetime,
) -> None:
    """Close the question when one person said no, or enough said yes, and let the run look."""
    agreed = [d for d in decisions if d.decision == "approve"]
    if decision == "approve" and len(agreed) < approval.rule.get("count", 1):
        return
    approval.state = "denied" if decision == "deny" else "approved"
    approval.decided_at = now
    names = await names_in(session)
    people = [{"name": names.get(d.account_id, "")} for d in decisions]
    approval.rule = {**approval.rule, "decided": people, "answer": reason.strip() or None}
    session.add(approval)
    await session.flush()
    await wake_run(session, ctx.client_id, approval.run_id)
    after_commit(session, lambda: wake(get_settings().redis_url))


async def _refused(session: AsyncSession, ctx: Context, approval: Approval, objection: str) -> None:
    target = f"approval:{approval.id}"
    details = {"why": objection}
    await audit.record(session, ctx, action="approval_refused", target=target, outcome="denied", details=details)


async def _find(
    session: AsyncSession, ctx: Context, approval_id: UUID, *, lock: bool = False
) -> tuple[Approval, Run, str, datetime]:
    """The approval, its run, its workflow's name and the time by the database's clock. Raises Missing."""
    query = select(Approval, func.clock_timestamp()).where(
        Approval.client_id == ctx.client_id, Approval.id == approval_id
    )
    if lock:
        await hold_place(session, ctx.client_id, Approval, approval_id)
        query = query.with_for_update()
    found = (await session.exec(query)).first()
    if found is None:
        raise Missing("approval")
    approval, now = found
    run = await session.get(Run, (ctx.client_id, approval.run_id))
    assert run is not None
    flow = await session.get(Workflow, (ctx.client_id, run.workflow_id))
    return approval, run, flow.name if flow else "", now


async def decisions_of(session: AsyncSession, ctx: Context, approvals: Sequence[UUID]) -> list[ApprovalDecision]:
    """What was said so far, oldest first."""
    found = await session.exec(
        select(ApprovalDecision)
        .where(ApprovalDecision.client_id == ctx.client_id, col(ApprovalDecision.approval_id).in_(approvals))
        .order_by(col(ApprovalDecision.at))
    )
    return list(found.all())


async def names_in(session: AsyncSession) -> dict[UUID, str]:
    """Names of the people who may enter the session's client."""
    return {member.account_id: member.name for member in await doors.members(session)}


def _view(
    ctx: Context,
    approval: Approval,
    run: Run,
    workflow: str,
    decisions: Sequence[ApprovalDecision],
    names: Mapping[UUID, str],
    now: datetime,
) -> ApprovalView:
    objection = why_not(ctx, approval, decisions, now)
    return ApprovalView(
        **approval_fields(approval, decisions, names),
        may_decide=objection is None,
        why_not=objection,
        workflow_name=workflow,
        label=run.label,
        summary=run.summary,
        kind=run.kind,
        of=run.of,
    )
