"""What was done to one thing on a platform, over all runs of a client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text

from app.core.context import Context
from app.core.errors import Invalid, Problem
from app.data.session import tenant_session
from connectors import registry
from connectors.base import Effect

LARGEST_PAGE = 500
Json = dict[str, Any]
_MOST_EVENTS = 2**31 - 1


class Touch(BaseModel):
    """One change of a target. ``change`` is as the step recorded it; None where its run has been archived.

    ``cursor`` leads to the page after it.
    """

    model_config = ConfigDict(frozen=True)

    target: str
    kind: str
    run_id: UUID
    node: str
    at: datetime
    change: dict[str, Any] | None
    run_kind: str
    run_state: str
    workflow_id: UUID
    workflow_name: str
    started_by: str
    cursor: str


async def history(ctx: Context, *, target: str = "", before: str | None = None, limit: int = 50) -> list[Touch]:
    """Every change of ``target``, newest first: ``platform.resource:key``, or the key alone for any kind of thing.

    Without a target, the changes of everything, the latest run's first. Raises Invalid for a cursor that is none.
    """
    ctx.require("run.read")
    wanted = target.strip().lower()
    values = {
        "client": ctx.client_id,
        "targets": [wanted, *(f"{kind}:{wanted}" for kind in _kinds())],
        **_cursor(before),
        "most": max(1, min(limit, LARGEST_PAGE)),
    }
    async with tenant_session(ctx) as session:
        connection = await session.connection()
        statement = OF_TARGET if wanted else _OF_ANY
        rows = (await connection.execute(text(statement), values)).mappings().all()
    return [Touch(**row, cursor=f"{_microseconds(row['at'])}.{row['run_id']}.{row['seq']}") for row in rows]


@cache
def _kinds() -> tuple[str, ...]:
    """What connectors can change: ``m365.user``, ``aws.instance``."""
    found = {name.rpartition(".")[0] for name, each in registry.actions().items() if each.effect is Effect.WRITE}
    return tuple(sorted(found))


def _cursor(before: str | None) -> Json:
    """A place in the list: the time of a change, its run, and its number there."""
    if not before:
        return {"at": datetime.max.replace(tzinfo=UTC), "run": UUID(int=(1 << 128) - 1), "seq": 0}
    try:
        at, run, seq = before.split(".")
        # A run has less events than that: what is beyond is behind all of them.
        found = {"run": UUID(run), "seq": min(int(seq), _MOST_EVENTS)}
        return {"at": _EPOCH + timedelta(microseconds=int(at)), **found}
    except (ValueError, OverflowError):
        message = "This is no place in the list."
        raise Invalid(message, problems=[Problem("cursor_invalid", message, field="before")]) from None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


_HISTORY = """
SELECT found.*, r.kind AS run_kind, r.state AS run_state, r.workflow_id, w.name AS workflow_name,
       r.started_by_name AS started_by
  FROM (
    (SELECT e.target, e.payload -> 'change' ->> 'kind' AS kind, e.run_id, e.seq, e.node, e.at,
            e.payload -> 'change' AS change
       FROM step_events e WHERE e.client_id = :client AND {which} AND {older}
      ORDER BY {order} LIMIT :most)
    UNION ALL
    (SELECT e.target, e.kind, e.run_id, e.seq, e.node, e.at, NULL
       FROM archived_changes e WHERE e.client_id = :client AND {which} AND {older}
      ORDER BY {order} LIMIT :most)) AS found
  JOIN runs r ON r.client_id = :client AND r.id = found.run_id
  JOIN workflows w ON w.client_id = :client AND w.id = r.workflow_id
 ORDER BY {order} LIMIT :most"""
# A run may have waited for days, while later ones changed the same thing: what counts is when it was changed. One thing
# has not so many changes that they could not be put in order; those of everything are read in the order of their index.
OF_TARGET = _HISTORY.format(
    which="e.target = ANY (CAST(:targets AS text[]))",
    older="(e.at, e.run_id, e.seq) < (CAST(:at AS timestamptz), CAST(:run AS uuid), CAST(:seq AS integer))",
    order="at DESC, run_id DESC, seq DESC",
)
_OF_ANY = _HISTORY.format(
    which="e.target IS NOT NULL AND cardinality(CAST(:targets AS text[])) > 0 AND CAST(:at AS timestamptz) IS NOT NULL",
    older="(e.run_id, e.seq) < (CAST(:run AS uuid), CAST(:seq AS integer))",
    order="run_id DESC, seq DESC",
)
