"""Many runs at once: one statement for a table of rows, where an object each would take a second for a few thousand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

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
    values = {"client": client_id, "head": head, "rows": json.dumps(rows, ensure_ascii=False, default=str)}
    await (await session.connection()).execute(_INSERT, values)
