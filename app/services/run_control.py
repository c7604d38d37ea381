"""What people ask of a run that is there: cancel, pause, resume, try again, settle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.core.context import Context
from app.core.errors import Invalid, Problem, Stale
from app.core.run_states import OVER
from app.core.settings import get_settings
from app.data.models.runs import Run, RunQueue
from app.data.repositories import audit
from app.data.session import after_commit, tenant_session
from app.engine.core.again import output_problems
from app.engine.core.document import canonical
from app.engine.core.resetting import reset_problems
from app.engine.core.state import RunState
from app.engine.runtime.wakeup import wake
from app.engine.runtime.waking import wake_run
from app.services.run_loading import find, past_of
from app.services.run_pasts import require_steps, require_unarchived
from app.services.undone import has_history, require_latest_undo, require_not_undone

Json = dict[str, Any]

# The rows of a batch that are runs of their own by now. Those that wait for the batch have no place in the queue yet.
_LET_GO = "client_id = :client AND parent = :head AND extra ? 'batch_seal' AND state <> ALL(:over)"
_BY = "extra = extra || jsonb_build_object('paused_by', CAST(:by AS text))"
_PAUSE_ROWS = f"""
    WITH rows AS (UPDATE runs SET pause_requested_at = now(), {_BY}
                   WHERE {_LET_GO} AND pause_requested_at IS NULL RETURNING client_id, id)
    SELECT count(wake_run(client_id, id)) FROM rows"""  # noqa: S608 - constants only
_RESUME_ROWS = f"""
    WITH rows AS (UPDATE runs SET pause_requested_at = NULL, {_BY},
                         state = CASE state WHEN 'paused' THEN 'queued' ELSE state END
                   WHERE {_LET_GO} AND pause_requested_at IS NOT NULL RETURNING client_id, id)
    SELECT count(wake_run(client_id, id)) FROM rows"""  # noqa: S608 - constants only


async def cancel(ctx: Context, run_id: UUID) -> None:
    """Ask a run to stop: nothing new is started, looks at platforms are cut off, a write that was sent is awaited.

    From then on it cannot end as succeeded. Raises Stale where it is over.
    """
    ctx.require("run.cancel")
    async with tenant_session(ctx) as session:
        run, _ = await find(session, ctx, run_id, lock=True)
        _require_going(run)
        run.cancel_requested_at = run.cancel_requested_at or utcnow()
        await _ask(session, ctx, run, "run_cancel_asked", {})


async def pause(ctx: Context, run_id: UUID) -> None:
    """Ask a run, or every row of a batch, to pause: what is being done is finished, nothing new starts, no timer fires.

    Raises Stale where it is over, or asked to stop.
    """
    ctx.require("run.cancel")
    async with tenant_session(ctx) as session:
        run, _ = await find(session, ctx, run_id, lock=True)
        _require_going(run)
        if run.cancel_requested_at is not None:
            raise Stale("This run is being cancelled.", code="run_cancelling")
        if run.kind == "wave":
            raise _held_by_another()
        await _require_let_go(session, run)
        if run.pause_requested_at is None:
            run.pause_requested_at = utcnow()
            run.extra = {**run.extra, "paused_by": _name(ctx)}
            await _ask(session, ctx, run, "run_paused", {"rows": await _rows(session, ctx, run, _PAUSE_ROWS)})


async def resume(ctx: Context, run_id: UUID) -> None:
    """Let a paused run, or every paused row of a batch, go on. Raises Stale where it is not paused, or where its wave
    holds it."""
    ctx.require("run.start")
    async with tenant_session(ctx) as session:
        run, _ = await find(session, ctx, run_id, lock=True)
        if run.state in OVER or run.pause_requested_at is None:
            raise Stale("This run is not paused.", code="not_paused")
        await _require_let_go(session, run)
        run.pause_requested_at = None
        run.extra = {**run.extra, "paused_by": _name(ctx)}
        if run.state == "paused":
            run.state = "queued"
        await _ask(session, ctx, run, "run_resumed", {"rows": await _rows(session, ctx, run, _RESUME_ROWS)})


async def retry(ctx: Context, run_id: UUID, *, nodes: Sequence[str] = ()) -> None:
    """Try failed steps again (all of them where none is named), in the same run.

    Raises Stale unless it has failed, where it is undone, and for an undo that another one followed; Invalid for a name
    that none of its steps has, and where the run would get nowhere with these alone.
    """
    ctx.require("run.start")
    async with tenant_session(ctx) as session:
        run, _ = await find(session, ctx, run_id, lock=True)
        if run.state not in ("failed", "cancelled") or run.mode != "apply" or run.kind in ("batch", "wave"):
            raise Stale("Only a run that failed or was cancelled can be tried again.", code="nothing_to_retry")
        require_unarchived(run)
        if not await has_history(session, ctx, run_id):
            raise Stale("This run never began. Start it anew.", code="nothing_to_retry")
        await require_not_undone(session, ctx, run_id)
        if run.kind == "undo":
            await require_latest_undo(session, ctx, run)
        if nodes:
            _require_way((await past_of(session, ctx, run)).state(), nodes)
        run.cancel_requested_at, run.state, run.reason, run.finished_at = None, "queued", None, None
        run.pause_requested_at = None
        # Whoever stops it from now on is not the run that once took its place.
        run.extra = {name: value for name, value in run.extra.items() if name != "replaced_by"}
        _request(ctx, run, {"kind": "reset", "nodes": list(nodes)})
        await _ask(session, ctx, run, "run_retried", {"nodes": list(nodes)})


async def settle(
    ctx: Context, run_id: UUID, *, node: str, outcome: str, output: Mapping[str, Any] | None = None
) -> None:
    """Say what became of a step whose outcome nobody knows: ``done`` or ``not_done``.

    ``output`` is what the step gave, for later steps that read it; without it a step that is done gives nothing. It
    takes the right to draw workflows, and what the policy asks for is asked again before anything more is written.
    Raises Stale where nothing is unknown, Invalid naming each field of the output that the step cannot have given.
    """
    ctx.require("run.start")
    if output is not None:
        ctx.require("workflow.write")
    async with tenant_session(ctx) as session:
        run, _ = await find(session, ctx, run_id, lock=True)
        if run.state in OVER or outcome not in ("done", "not_done"):
            raise Stale("Nothing is unknown in this run.", code="nothing_to_settle")
        state = (await past_of(session, ctx, run)).state()
        require_steps(state, [node], "node")
        told: Json = {"node": node, "outcome": outcome}
        request: Json = {"kind": "settle", **told}
        if output is not None and state is not None:
            _require_given(state, node, outcome, output)
            request["output"] = output
            told["output"] = hashlib.sha256(canonical(output)).hexdigest()
        _request(ctx, run, request)
        await _ask(session, ctx, run, "step_settled", told)


def _require_given(state: RunState, node: str, outcome: str, output: Mapping[str, Any]) -> None:
    """Raise Stale or Invalid unless the step is one that nobody knows the outcome of, and may have given ``output``."""
    if state.node(node).state != "unknown":
        raise Stale("Nothing is unknown about this step.", code="nothing_to_settle")
    if outcome != "done":
        message = f"{node} was not done, so it gave nothing."
        problems = [Problem("output_of_undone", message, field="output", node=node)]
    else:
        problems = output_problems(state.graph.nodes[node], output, "output")
    if problems:
        raise Invalid("This is not what the step can have given.", code="outputs_invalid", problems=problems)


def _require_going(run: Run) -> None:
    if run.state in OVER:
        raise Stale("This run is over already.", code="run_over")


async def _require_let_go(session: AsyncSession, run: Run) -> None:
    """What a batch or a wave holds has no place in the queue, and must not get one by being steered itself."""
    if await session.get(RunQueue, (run.client_id, run.id)) is None:
        raise _held_by_another()


def _held_by_another() -> Stale:
    return Stale("This run waits for its batch or its wave. Pause or resume that.", code="row_of_batch")


def _require_way(state: RunState | None, names: Sequence[str]) -> None:
    """Raise Invalid unless trying these steps again lets the run go on."""
    require_steps(state, names, "nodes")
    problems = reset_problems(state, names, "nodes") if state else []
    if problems:
        first = problems[0]
        raise Invalid(first.message, code=first.code, problems=problems, params=first.params)


def _request(ctx: Context, run: Run, request: Json) -> None:
    """Leave a request for the run's walker; it says how many it has handled."""
    asked = {**request, "by": ctx.actor.name, "account": str(ctx.actor.account_id) if ctx.actor.account_id else None}
    run.extra = {**run.extra, "requests": [*run.extra.get("requests", []), asked]}


def _name(ctx: Context) -> str:
    return ctx.actor.name or ctx.actor.email


async def _rows(session: AsyncSession, ctx: Context, head: Run, statement: str) -> int:
    """Do to the rows of a batch what is done to it. Gives their number."""
    if head.kind != "batch":
        return 0
    values = {"client": ctx.client_id, "head": head.id, "over": list(OVER), "by": _name(ctx)}
    connection = await session.connection()
    return int((await connection.execute(text(statement), values)).scalar_one())


async def _ask(session: AsyncSession, ctx: Context, run: Run, action: str, details: Json) -> None:
    session.add(run)
    await session.flush()
    await wake_run(session, ctx.client_id, run.id, run.priority)
    told = {name: value for name, value in details.items() if value != 0}
    await audit.record(session, ctx, action=action, target=f"run:{run.id}", details=told)
    after_commit(session, lambda: wake(get_settings().redis_url))
