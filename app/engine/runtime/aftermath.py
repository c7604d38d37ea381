"""What the end of a run starts by itself, in the transaction of the end: its compensation, and its error handler."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.ids import new_id
from app.data.models.runs import Run
from app.data.models.workflows import Workflow, WorkflowVersion
from app.data.repositories import audit
from app.engine.core.concurrency import slot_of
from app.engine.core.document import Document, content_hash, parse_document
from app.engine.core.inputs import check_inputs
from app.engine.core.state import RunState
from app.engine.core.undo import undo_graph
from app.engine.runtime.record import Record
from app.engine.runtime.store import Audit
from app.engine.runtime.waking import wake_run

Json = dict[str, Any]

# Taking back goes before what is new.
_URGENT = 10


def aftermath(record: Record, state: RunState | None, outcome: str, reason: Json | None) -> list[Audit]:
    """Work that starts what the workflow asks for when a run ends so. Only what changes something has an aftermath."""
    if record.mode != "apply" or record.kind != "run" or outcome == "succeeded":
        return []
    found: list[Audit] = []
    rule = record.document.on_failure if outcome == "failed" else record.document.on_cancel
    if rule == "compensate" and state is not None and undo_graph(state).order:
        found.append(_compensating(record))
    handles = (record.run["extra"].get("why") or "") == "handler"
    if record.document.error_handler is not None and outcome == "failed" and not handles:
        found.append(_handling(record, record.document.error_handler.workflow, reason or {}))
    return found


def _compensating(record: Record) -> Audit:
    """Work that starts the undo of the run. It waits for nobody whom an undo would not wait for, and for all others."""

    async def compensate(session: AsyncSession) -> None:
        extra = record.run["extra"]
        kept = {name: extra[name] for name in ("document", "concurrency") if name in extra}
        run = _like(record, extra={**kept, "why": "compensation"})
        run.kind, run.of, run.priority = "undo", record.run_id, _URGENT
        run.workflow_id, run.version = UUID(record.run["workflow_id"]), record.run["version"]
        run.document_hash, run.inputs = record.run["document_hash"], record.run["inputs"]
        await _queue(session, record, run, {"of": str(record.run_id), "why": "compensation"})
        if rule := extra.get("concurrency"):
            connection = await session.connection()
            values = {"client": record.client_id, "run": run.id, "key": rule["key"]}
            await connection.execute(text("SELECT give_slot(:client, :run, :key)"), values)

    return compensate


def _handling(record: Record, name: str, reason: Json) -> Audit:
    """Work that starts the workflow called ``name`` about the failed run, or says in the audit trail why it cannot."""

    async def handle(session: AsyncSession) -> None:
        found = await _published(session, record, name)
        given = _about(record, reason)
        problem, inputs = "no_such_workflow", {}
        if found is not None:
            document = parse_document(found.document)
            inputs, wrong = check_inputs(document.inputs, _wanted(document, given))
            problem = wrong[0].message if wrong else ""
        if found is None or problem:
            await _tell(session, record, {"workflow": name, "problem": problem})
            return
        await _start_handler(session, record, found, document, inputs)

    return handle


async def _tell(session: AsyncSession, record: Record, details: Json) -> None:
    target, action = f"run:{record.run_id}", "error_handler_failed"
    await audit.record(session, record.context, action=action, target=target, outcome="failure", details=details)


async def _start_handler(
    session: AsyncSession, record: Record, found: WorkflowVersion, document: Document, inputs: Json
) -> None:
    # Whoever had the failed run start by itself decides about this one as little, and a loop over events is counted on.
    before = record.run["extra"].get("trigger") or {}
    trigger = {"people": list(before.get("people", ())), "depth": int(before.get("depth", 0)) + 1}
    extra: Json = {"why": "handler", "trigger": trigger}
    if rule := slot_of(document, inputs, record.client["variables"]):
        extra["concurrency"] = rule
    run = _like(record, extra=extra)
    run.follows, run.workflow_id, run.version = record.run_id, found.workflow_id, found.version
    run.document_hash, run.inputs = content_hash(document), inputs
    await _queue(session, record, run, {"why": "handler", "follows": str(record.run_id)})


def _like(record: Record, *, extra: Json) -> Run:
    """A new run that the same person answers for."""
    started_by = record.run["started_by"]
    return Run(
        client_id=record.client_id,
        id=new_id(),
        workflow_id=UUID(record.run["workflow_id"]),
        document_hash="",
        mode="apply",
        label=record.run["label"],
        started_by=UUID(started_by) if started_by else None,
        started_by_name=record.run["started_by_name"],
        extra=extra,
    )


async def _queue(session: AsyncSession, record: Record, run: Run, told: Json) -> None:
    session.add(run)
    await session.flush()
    await wake_run(session, record.client_id, run.id, run.priority)
    details = {"mode": run.mode, "kind": run.kind, "workflow": str(run.workflow_id), "version": run.version, **told}
    await audit.record(session, record.on_behalf, action="run_started", target=f"run:{run.id}", details=details)


async def _published(session: AsyncSession, record: Record, name: str) -> WorkflowVersion | None:
    query = (
        select(WorkflowVersion)
        .join(
            Workflow,
            (col(Workflow.client_id) == col(WorkflowVersion.client_id))
            & (col(Workflow.id) == col(WorkflowVersion.workflow_id))
            & (col(Workflow.published_version) == col(WorkflowVersion.version)),
        )
        .where(Workflow.client_id == record.client_id, Workflow.name == name, col(Workflow.archived_at).is_(None))
    )
    return (await session.exec(query)).first()


def _about(record: Record, reason: Json) -> Json:
    """What a handler may ask for as inputs."""
    return {
        "run": str(record.run_id),
        "workflow": record.run["workflow_id"],
        "label": record.run["label"],
        "node": str(reason.get("node") or ""),
        "code": str(reason.get("code") or ""),
        "error": str(reason.get("message") or reason.get("code") or ""),
        "inputs": record.run["inputs"],
    }


def _wanted(document: Document, given: Json) -> Json:
    """Of that, what its schema names."""
    names = document.inputs.get("properties") or {}
    return {name: value for name, value in given.items() if name in names}
