"""New runs: one statement for one that is queued, and one for a table of rows, where an object each would take a second
for a few thousand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from app.data.models.runs import Run
from app.data.repositories.audit import Entry, rows_of
from app.data.trips import Ask

Json = dict[str, Any]


@dataclass(slots=True)
class NewRun:
    """What is known of a run when it is queued. The fields are those of :class:`app.data.models.runs.Run`, which takes
    twenty times as long to make."""

    client_id: UUID
    id: UUID
    workflow_id: UUID
    version: int | None
    document_hash: str
    mode: str
    kind: str = "run"
    inputs: Json = field(default_factory=dict)
    label: str = ""
    sealed_plan: UUID | None = None
    only_node: str | None = None
    follows: UUID | None = None
    of: UUID | None = None
    parent: UUID | None = None
    row_number: int | None = None
    started_by: UUID | None = None
    started_by_name: str = ""
    idempotency_key: str | None = None
    extra: Json = field(default_factory=dict)
    priority: int = 0


# The functions see the row: what a statement has changed so far is visible to the functions that it calls.
_QUEUE = """
WITH new AS (
    INSERT INTO runs (client_id, id, workflow_id, version, document_hash, mode, kind, inputs, label, sealed_plan,
                      only_node, follows, of, parent, row_number, started_by, started_by_name, idempotency_key, extra,
                      priority)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s)
    RETURNING client_id, id, priority)
SELECT wake_run(new.client_id, new.id, NULL, new.priority)"""
# The head of the audit chain is locked last.
_QUEUE_TOLD = f"{_QUEUE}, audit_append(new.client_id, %s::jsonb) FROM new"
_QUEUE_ONLY = f"{_QUEUE} FROM new"

_INSERT = text("""
    INSERT INTO runs (client_id, id, parent, row_number, workflow_id, version, document_hash, mode, inputs, label,
                      priority, started_by, started_by_name, extra)
    SELECT h.client_id, r.id, h.id, r.row_number, h.workflow_id, h.version, h.document_hash, h.mode, r.inputs, r.label,
           h.priority, h.started_by, h.started_by_name, r.extra
           || CASE WHEN h.extra ? 'document' THEN jsonb_build_object('document', h.extra -> 'document') ELSE '{}' END
      FROM runs h
     CROSS JOIN jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id uuid, row_number integer, inputs jsonb, label text,
                                                              extra jsonb)
     WHERE h.client_id = :client AND h.id = :head
""")


async def add_rows(session: AsyncSession, client_id: UUID, head: UUID, rows: Sequence[dict[str, Any]]) -> None:
    """Store a run for each of ``rows`` (``id``, ``row_number``, ``inputs``, ``label``, ``extra``) under ``head``, the
    batch, which is stored already: the rest is the same for all of them."""
    values = {"client": client_id, "head": head, "rows": _json(rows)}
    await (await session.connection()).execute(_INSERT, values)


def queueing(run: NewRun | Run, told: Entry | None = None) -> Ask:
    """Stores a run and puts it into the queue; with ``told``, adds that event to its client's audit chain and gives, in
    the second column, how long the chain is now."""
    values = (
        run.client_id,
        run.id,
        run.workflow_id,
        run.version,
        run.document_hash,
        run.mode,
        run.kind,
        _json(run.inputs),
        run.label,
        run.sealed_plan,
        run.only_node,
        run.follows,
        run.of,
        run.parent,
        run.row_number,
        run.started_by,
        run.started_by_name,
        run.idempotency_key,
        _json(run.extra),
        run.priority,
    )
    return Ask(_QUEUE_TOLD, (*values, rows_of([told]))) if told else Ask(_QUEUE_ONLY, values)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
