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


_COLUMNS = """client_id, id, workflow_id, version, document_hash, mode, kind, inputs, label, sealed_plan, only_node,
        follows, of, parent, row_number, started_by, started_by_name, idempotency_key, extra, priority"""
_VALUES = """%s::uuid, %s::uuid, %s::uuid, %s::integer, %s, %s, %s, %s::jsonb, %s, %s::uuid, %s, %s::uuid,
           %s::uuid, %s::uuid, %s::integer, %s::uuid, %s, %s, %s::jsonb, %s::smallint"""
# The functions see the row: what a statement has changed so far is visible to the functions that it calls. The head of
# the audit chain is locked last.
_QUEUE = f"""
WITH new AS (INSERT INTO runs ({_COLUMNS}) SELECT {_VALUES}{{condition}} RETURNING client_id, id, priority)
SELECT wake_run(new.client_id, new.id, NULL, new.priority){{told}} FROM new"""  # noqa: S608 - constants only
_TOLD = ", audit_append(new.client_id, %s::jsonb)"

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

_INSERT_OF = text("""
    INSERT INTO runs (client_id, id, parent, row_number, workflow_id, version, document_hash, mode, inputs, label,
                      priority, started_by, started_by_name, extra, kind, of, sealed_plan)
    SELECT h.client_id, r.id, h.id, s.row_number, s.workflow_id, s.version, s.document_hash, h.mode, s.inputs, s.label,
           s.priority, h.started_by, h.started_by_name, r.extra,
           CASE WHEN :reverse THEN 'undo' ELSE s.kind END,
           CASE WHEN :reverse THEN s.id END,
           CASE WHEN NOT :reverse THEN s.id END
      FROM runs h
     CROSS JOIN jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id uuid, source uuid, extra jsonb)
      JOIN runs s ON s.client_id = h.client_id AND s.id = r.source
     WHERE h.client_id = :client AND h.id = :head
""")


async def add_rows(session: AsyncSession, client_id: UUID, head: UUID, rows: Sequence[dict[str, Any]]) -> None:
    """Store a run for each of ``rows`` (``id``, ``row_number``, ``inputs``, ``label``, ``extra``) under ``head``, the
    batch, which is stored already: the rest is the same for all of them."""
    values = {"client": client_id, "head": head, "rows": _json(rows)}
    await (await session.connection()).execute(_INSERT, values)


async def add_rows_of(
    session: AsyncSession, client_id: UUID, head: UUID, rows: Sequence[dict[str, Any]], *, reverse: bool
) -> None:
    """Store a run under ``head``, which is stored already, for each of ``rows``: ``id``, ``source``, ``extra``.

    It is about what the run ``source`` was about, and carries out the plan that this was, or takes it back
    (``reverse``).
    """
    values = {"client": client_id, "head": head, "rows": _json(rows), "reverse": reverse}
    await (await session.connection()).execute(_INSERT_OF, values)


def queueing(run: NewRun | Run) -> Ask:
    """Stores a run and puts it into the queue."""
    return Ask(_QUEUE.format(condition="", told=""), _values(run))


def queueing_told(run: NewRun, told: Entry, *, where: Ask | None = None) -> Ask:
    """The same, and adds ``told`` to the client's audit chain; gives its length in the second column.

    ``where`` is a condition: unless it holds, nothing is stored and no row given.
    """
    if where is None:
        return Ask(_QUEUE.format(condition="", told=_TOLD), (*_values(run), rows_of([told])))
    condition = f" WHERE {where.statement}"
    return Ask(_QUEUE.format(condition=condition, told=_TOLD), (*_values(run), *where.values, rows_of([told])))


def _values(run: NewRun | Run) -> tuple[Any, ...]:
    return (
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


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
