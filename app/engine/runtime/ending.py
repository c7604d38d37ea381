"""The end of a run: its outcome, what it left behind, and whoever waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import structlog

from app.core import metrics
from app.data.repositories import audit
from app.engine.core.events import RunFinished
from app.engine.core.planned import PlannedStep, summary
from app.engine.core.state import RunState
from app.engine.core.undo import effects
from app.engine.runtime.aftermath import aftermath
from app.engine.runtime.dispatch import Woken
from app.engine.runtime.gate import withdrawing
from app.engine.runtime.journal import Journal
from app.engine.runtime.record import Record
from app.engine.runtime.stage import Stage
from app.engine.runtime.store import Audit, Told

if TYPE_CHECKING:
    from app.engine.runtime.engine import Engine

log = structlog.get_logger(__name__)
Json = dict[str, Any]
Outcome = Literal["succeeded", "failed", "cancelled"]


async def finish(
    engine: Engine,
    stage: Stage,
    journal: Journal,
    outcome: str,
    reason: Json | None,
    patch: Json | None = None,
    *work: Audit,
) -> None:
    """Record that the run is over, in one transaction with all that belongs to it.

    Raises Woken where something was asked of the run meanwhile: it is not over then.
    """
    record = stage.record
    await journal.settle()  # the last event goes with the end, and not with a commit that is behind
    before, noted = journal.state, False
    if journal.state.outcome is None and journal.begun:
        journal.note(RunFinished(outcome))  # type: ignore[arg-type]
        noted = True
    if record.mode == "apply":
        # What was planned is not what was done; the refusals that planning found stay counted.
        refusals = (patch or {}).get("summary", {}).get("problems", 0)
        patch = {**(patch or {}), "summary": {**done_summary(journal.state), "problems": refusals}}
    whole = {**(patch or {}), "state": outcome, "reason": reason, "started": True, "finished": True}
    extra = [withdrawing(record)] if record.approvals else []
    try:
        after = aftermath(record, journal.state if journal.begun else None, outcome, reason)
        await journal.flush(whole, {"done": True}, *work, *extra, *after, *ended(record, outcome, reason))
    except Woken:
        if noted:
            journal.take_back(before)
        raise
    await asyncio.sleep(0)  # whoever waits for the run is told first
    log.info("run.ended", kind=record.kind, mode=record.mode, state=outcome, code=(reason or {}).get("code"))
    metrics.workflow_executions.labels(record.mode, outcome, record.client["slug"]).inc()
    call_head(engine, record)
    if after or record.run["extra"].get("concurrency"):
        await engine.wake()


def ended(record: Record, outcome: str, reason: Json | None) -> list[Audit]:
    """Work that belongs to a run's end: its audit event."""
    details = {"mode": record.mode, "kind": record.kind, "code": (reason or {}).get("code")}
    result = "success" if outcome == "succeeded" else "failure"
    told = audit.entry(
        record.on_behalf, action=f"run_{outcome}", target=f"run:{record.run_id}", outcome=result, details=details
    )
    return [Told(told)]


def call_head(engine: Engine, record: Record) -> None:
    """Let the batch look whose row this run is, if it is one: its end is committed."""
    if parent := record.run["parent"]:
        engine.heads.row_ended(record.client_id, UUID(parent))


def cancelled(record: Record, state: RunState) -> Json:
    """Why a run ends as cancelled: which steps had taken effect before that, and whose outcome nobody knows."""
    unknown = [name for name, node in state.nodes.items() if node.state == "unknown"]
    replaced_by = record.run["extra"].get("replaced_by")
    found = {"code": "cancelled", "effects": effects(state), "unknown": unknown, "replaced_by": replaced_by}
    return {name: value for name, value in found.items() if value}


def done_summary(state: RunState) -> dict[str, int]:
    """What a run did, counted as a plan counts."""
    steps = [
        PlannedStep(node=name, name=name, type=node_type(state, name), version=1, change=dict(node.change))
        for name, node in state.nodes.items()
        if node.state == "succeeded" and node.change is not None
    ]
    return summary(steps)


def node_type(state: RunState, name: str) -> str:
    return state.graph.nodes[name].node.type
