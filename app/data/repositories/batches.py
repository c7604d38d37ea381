"""The rows of a batch, all of them in one statement: a table has thousands, and one each would take minutes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.run_states import OVER
from app.data.models.runs import Run, RunPlan

Json = dict[str, Any]

_OPEN = "r.client_id = :client AND r.parent = :head AND r.state NOT IN ('succeeded', 'failed', 'cancelled')"

_PLANNED = text("""
    WITH rows AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                      AS w (id uuid, seal text, summary jsonb, state text, reason jsonb, over boolean, plan jsonb)),
    kept AS (
        UPDATE runs r
           SET seal = w.seal, summary = w.summary, state = w.state, reason = NULLIF(w.reason, 'null'),
               started_at = coalesce(r.started_at, clock_timestamp()),
               finished_at = CASE WHEN w.over THEN clock_timestamp() END
          FROM rows w WHERE r.client_id = :client AND r.id = w.id)
    INSERT INTO run_plans (client_id, run_id, plan, seal, created_at)
    SELECT :client, w.id, w.plan, w.seal, clock_timestamp() FROM rows w
        ON CONFLICT (client_id, run_id) DO UPDATE
           SET plan = excluded.plan, seal = excluded.seal, created_at = excluded.created_at
""")

# In the table's order: so they are begun, and take their places in a start rate. Whoever paused the batch a moment ago
# has not seen these rows yet.
_LET_GO = text(f"""
    WITH rows AS (
        UPDATE runs r
           SET state = 'queued', reason = NULL, pause_requested_at = h.pause_requested_at,
               extra = r.extra || jsonb_build_object('batch_seal', CAST(:seal AS text), 'row_seal', r.seal)
          FROM runs h WHERE h.client_id = :client AND h.id = :head AND {_OPEN}
        RETURNING r.client_id, r.id, r.priority, r.row_number)
    SELECT count(wake_run(s.client_id, s.id, NULL, s.priority))
      FROM (SELECT * FROM rows ORDER BY row_number OFFSET 0) s""")  # noqa: S608 - constants only

# Places in the queue first, as workers lock them.
_HOLD_PLACES = text(f"""
    SELECT q.run_id FROM run_queue q JOIN runs r ON r.client_id = q.client_id AND r.id = q.run_id
     WHERE q.client_id = :client AND {_OPEN} ORDER BY q.run_id FOR UPDATE OF q""")  # noqa: S608 - constants only
_STOP = text(f"""
    WITH rows AS (
        UPDATE runs r SET cancel_requested_at = coalesce(r.cancel_requested_at, clock_timestamp())
         WHERE {_OPEN} RETURNING r.client_id, r.id)
    SELECT count(wake_run(client_id, id)) FROM rows""")  # noqa: S608 - constants only
_DROP = text(f"""
    UPDATE runs r
       SET state = 'cancelled', reason = jsonb_build_object('code', CAST(:code AS text)),
           summary = CAST(:nothing AS jsonb), finished_at = clock_timestamp(),
           cancel_requested_at = CASE WHEN :asked THEN coalesce(r.cancel_requested_at, clock_timestamp())
                                      ELSE r.cancel_requested_at END
     WHERE {_OPEN} AND NOT r.extra ? 'batch_seal'""")  # noqa: S608 - constants only

_DONE = text("""
    SELECT found.name, sum(found.number)::integer
      FROM runs r CROSS JOIN LATERAL (
           SELECT key AS name, value::integer AS number FROM jsonb_each_text(r.summary)
           UNION ALL SELECT 'rows', 1
           UNION ALL SELECT 'refused', CASE WHEN r.reason ->> 'phase' = 'plan' THEN 1 ELSE 0 END) found
     WHERE r.client_id = :client AND r.parent = :head
     GROUP BY found.name""")


async def numbers(session: AsyncSession, client_id: UUID, head: UUID) -> list[tuple[UUID, int]]:
    """The rows' ids and numbers, in the table's order."""
    query = select(Run.id, Run.row_number).where(Run.client_id == client_id, Run.parent == head)
    found = await session.exec(query.order_by(col(Run.row_number), col(Run.id)))
    return [(run_id, number or 0) for run_id, number in found.all()]


async def keep_plans(session: AsyncSession, client_id: UUID, rows: Sequence[Json]) -> None:
    """Store what was planned for some rows: ``id``, ``plan``, ``seal``, ``summary``, and the ``state``, ``reason`` and
    ``over`` that the plan leaves the row in."""
    await _execute(session, _PLANNED, client=client_id, rows=_json(rows))


async def plans(session: AsyncSession, client_id: UUID, head: UUID) -> list[tuple[UUID, int, Json, str]]:
    """Id, number, plan and seal of the rows that may still run, in the table's order."""
    found = await session.exec(
        select(Run.id, Run.row_number, RunPlan.plan, RunPlan.seal)
        .join(RunPlan, (col(RunPlan.client_id) == col(Run.client_id)) & (col(RunPlan.run_id) == col(Run.id)))
        .where(Run.client_id == client_id, Run.parent == head, col(Run.state).not_in(OVER))
        .order_by(col(Run.row_number))
    )
    return [(run_id, number or 0, plan, seal or "") for run_id, number, plan, seal in found.all()]


async def let_go(session: AsyncSession, client_id: UUID, head: UUID, seal: str) -> None:
    """Every row that may run becomes a run that workers take, under the batch's ``seal``."""
    await _execute(session, _LET_GO, client=client_id, head=head, seal=seal)


async def stop(session: AsyncSession, client_id: UUID, head: UUID) -> None:
    """Ask every row that was let go, and is not over, to stop."""
    await _execute(session, _HOLD_PLACES, client=client_id, head=head)
    await _execute(session, _STOP, client=client_id, head=head)


async def drop(
    session: AsyncSession, client_id: UUID, head: UUID, code: str, nothing: Mapping[str, int], *, asked: bool = False
) -> None:
    """End the rows that were never let go: whatever was planned for them, they did ``nothing``, and ``code`` says why.
    ``asked``: somebody wants them stopped."""
    values = {"code": code, "nothing": _json(nothing), "asked": asked}
    await _execute(session, _DROP, client=client_id, head=head, **values)


async def states(session: AsyncSession, client_id: UUID, head: UUID) -> dict[str, int]:
    """How many rows are in which state."""
    query = select(Run.state, func.count()).where(Run.client_id == client_id, Run.parent == head).group_by(Run.state)
    return {state: int(number) for state, number in (await session.exec(query)).all()}


async def done(session: AsyncSession, client_id: UUID, head: UUID) -> dict[str, int]:
    """What the rows did, counted together as a plan counts, with the number of ``rows`` and of those ``refused``."""
    found = await (await session.connection()).execute(_DONE, {"client": client_id, "head": head})
    return {"rows": 0, "refused": 0} | {name: int(number) for name, number in found.all()}


async def _execute(session: AsyncSession, statement: Any, **values: Any) -> None:
    await (await session.connection()).execute(statement, values)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
