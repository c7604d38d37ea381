"""The rows of a batch as people look at them: some at a time, as a table may have ten thousand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from app.core.context import Context
from app.data.models.runs import Run
from app.data.session import tenant_session
from app.services.run_loading import find
from app.services.run_views import RunRow, row_fields, step_of_row

Json = dict[str, Any]

_STEPS = text("""
    SELECT r.row_number, r.label, s.step
      FROM runs r
      JOIN run_plans p ON p.client_id = r.client_id AND p.run_id = r.id
     CROSS JOIN LATERAL jsonb_array_elements(p.plan -> 'steps') WITH ORDINALITY AS s (step, place)
     WHERE r.client_id = :client AND r.parent = :head AND jsonb_typeof(s.step -> 'change') = 'object'
       AND r.reason ->> 'phase' IS DISTINCT FROM 'plan'
     ORDER BY CASE WHEN s.step #>> '{change,kind}' = 'none' THEN 2
                   WHEN s.step #> '{change,reversible}' = 'false' THEN 0
                   ELSE 1 END, r.row_number, s.place
     LIMIT :most""")


async def rows_of(
    ctx: Context,
    batch_id: UUID,
    *,
    state: Sequence[str] = (),
    search: str = "",
    after: int = 0,
    limit: int | None = None,
) -> list[RunRow]:
    """Rows of a batch in the table's order: those in one of the states, whose label has the words of ``search``, that
    come after the row ``after``; ``limit`` of them at most. Raises Missing."""
    ctx.require("run.read")
    async with tenant_session(ctx) as session:
        head, name = await find(session, ctx, batch_id)
        query = select(Run).where(Run.client_id == ctx.client_id, Run.parent == head.id, col(Run.row_number) > after)
        if state:
            query = query.where(col(Run.state).in_(list(state)))
        for word in search.split():
            query = query.where(col(Run.label).icontains(word, autoescape=True))
        found = await session.exec(query.order_by(col(Run.row_number), col(Run.id)).limit(limit))
        return [RunRow(**row_fields(run, name)) for run in found.all()]


async def row_steps(ctx: Context, batch_id: UUID, most: int) -> list[Json]:
    """What the rows of a batch that were not refused would change, or have changed, as its ``plan`` has it; ``most``
    steps of it. What cannot be undone comes first, then what else would be written."""
    ctx.require("run.read")
    async with tenant_session(ctx) as session:
        values = {"client": ctx.client_id, "head": batch_id, "most": most}
        found = await (await session.connection()).execute(_STEPS, values)
        return [step_of_row(number, label, step) for number, label, step in found.all()]
