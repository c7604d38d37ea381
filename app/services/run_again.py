"""Running a run again from a step: a new run that keeps what came before, as it was or as a person edits it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Invalid, Problem, Stale
from app.core.ids import new_id
from app.core.run_states import OVER
from app.data.models.runs import Run
from app.data.session import tenant_session
from app.engine.core.again import edit_problems, kept_steps, stored, unknown_steps
from app.engine.core.document import canonical
from app.engine.core.events import StepKept
from app.engine.runtime.gate import who_answered
from app.services.hands import handed_on
from app.services.run_loading import find, past_of
from app.services.run_pasts import Past, require_steps, require_unarchived
from app.services.start_keys import Asked, Mode, by_key, once
from app.services.start_storing import queue
from app.services.starts import check_mode, require_may_leave_out
from app.services.undone import require_not_undone

Json = dict[str, Any]


async def again(
    ctx: Context,
    run_id: UUID,
    *,
    nodes: Sequence[str],
    outputs: Mapping[str, Any] | None = None,
    mode: Mode = "plan",
    idempotency_key: str | None = None,
) -> UUID:
    """Queue a new run of the same version that begins at ``nodes``, and give its id.

    What is upstream of them keeps its results; they, what is downstream, and what had not ended well run. ``outputs``
    are written by hand in place of a step's own, which takes the right to draw workflows. The new run has a plan and a
    seal of its own: what was approved for the first one counts for nothing. The same ``idempotency_key`` gives the run
    that it started the first time.

    Raises Invalid naming each step or field that is wrong, Missing, Stale for a run that is going, was only planned, is
    an undo, or has been undone: results that were taken back are no ground to go on from. Also where nobody knows what
    became of a step that is not named: it may be done already.
    """
    ctx.require("run.plan" if mode == "plan" else "run.start")
    check_mode(mode)
    edited = dict(outputs or {})
    if edited:
        ctx.require("workflow.write")
    async with tenant_session(ctx) as session:
        first, _ = await find(session, ctx, run_id)
    details = {"again": run_id, "from": sorted(nodes), "outputs": edited}
    asked = Asked(first.workflow_id, mode, first.inputs, idempotency_key, details=details)

    async def work(session: AsyncSession) -> UUID:
        if earlier := await by_key(session, ctx, asked):
            return earlier
        first, _ = await find(session, ctx, run_id)
        await require_not_undone(session, ctx, first.id)
        require_may_leave_out(ctx, first.only_node, mode)
        past = await past_of(session, ctx, first)
        kept = _kept(first, past, nodes, edited)
        answered = await who_answered(session, ctx.client_id, first.id)
        run = _following(ctx, first, asked, nodes, kept, answered)
        await _store(session, ctx, first, run, nodes, kept)
        return run.id

    return await once(ctx, asked, work)


def _kept(first: Run, past: Past, nodes: Sequence[str], edited: Json) -> list[StepKept]:
    if first.state not in OVER:
        raise Stale("This run is still going. Cancel it first.", code="run_going")
    require_unarchived(first)
    if first.mode != "apply" or first.kind != "run" or not past.history:
        raise Stale("Only a run that did something can be run again from a step.", code="nothing_to_repeat")
    state = past.state()
    require_steps(state, nodes, "nodes")
    drawn = {node["id"] for node in past.document.get("nodes", ())}
    if state is None or not nodes or not drawn.issuperset(nodes):
        raise Invalid("Name a step of the workflow to begin at.", code="no_start")
    if first.only_node is not None:
        _require_that_step(first.only_node, nodes)
    if lost := unknown_steps(state, nodes):
        message = f"Nobody knows what became of {lost[0]}. Try this run again and say it, or begin at that step."
        raise Stale(message, code="unknown_before", params={"step": lost[0]})
    problems = edit_problems(state.graph, state, nodes, edited)
    if problems:
        raise Invalid("What was edited is not right.", code="outputs_invalid", problems=problems)
    # A step that runs by itself has nothing before it: the others count as skipped without being kept.
    return [] if first.only_node else kept_steps(state.graph, state, nodes, edited)


def _require_that_step(only_node: str, nodes: Sequence[str]) -> None:
    """Raises Invalid where a run of one step is to begin at another: what comes before that one never ran."""
    if set(nodes) != {only_node}:
        message = f"This run was of {only_node} alone. Begin at that step, or start the whole workflow."
        params = {"step": only_node}
        problem = Problem("only_that_step", message, field="nodes", params=params)
        raise Invalid(message, code="only_that_step", problems=[problem], params=params)


def _following(
    ctx: Context,
    first: Run,
    asked: Asked,
    nodes: Sequence[str],
    kept: Sequence[StepKept],
    answered: Sequence[UUID],
) -> Run:
    same = {name: first.extra[name] for name in ("document", "concurrency") if name in first.extra}
    editor = ctx.actor.account_id if any(event.edited for event in kept) else None
    return Run(
        client_id=ctx.client_id,
        id=new_id(),
        follows=first.id,
        workflow_id=first.workflow_id,
        version=first.version,
        document_hash=first.document_hash,
        mode=asked.mode,
        inputs=first.inputs,
        label=first.label,
        only_node=first.only_node,
        priority=first.priority,
        idempotency_key=asked.key,
        extra={
            **same,
            **handed_on(first.extra, first.started_by, editor, *answered),
            **asked.kept,
            "why": "again",
            "from": list(nodes),
            "kept": stored(kept),
        },
    )


async def _store(
    session: AsyncSession, ctx: Context, first: Run, run: Run, nodes: Sequence[str], kept: Sequence[StepKept]
) -> None:
    digests = {event.node: hashlib.sha256(canonical(event.output)).hexdigest() for event in kept if event.edited}
    details: Json = {"again": str(first.id), "from": list(nodes), "kept": len(kept)}
    await queue(session, ctx, run, {**details, "edited": digests} if digests else details)
