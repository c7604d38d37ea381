"""A run with all that most views of it show, in one round trip; of what is rare the run says whether there is any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.data.link import Rows
from app.data.trips import Ask, in_session, tenant_trip

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as :class:`app.data.models.runs.Run` has it, to be read only."""

    client_id: UUID
    id: UUID
    kind: str
    of: UUID | None
    parent: UUID | None
    row_number: int | None
    workflow_id: UUID
    version: int | None
    mode: str
    inputs: Json
    state: str
    reason: Json | None
    seal: str | None
    summary: Json
    only_node: str | None
    started_by_name: str
    cancel_requested_at: datetime | None
    pause_requested_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    label: str
    extra: Json
    priority: int
    follows: UUID | None
    archived_at: datetime | None
    archive: str | None
    has_more: bool


class EventRecord(NamedTuple):
    """One thing that happened in a run, as :class:`app.data.models.runs.StepEvent` has it."""

    seq: int
    node: str
    kind: str
    attempt: int
    payload: Json
    at: datetime


class Beside(NamedTuple):
    """Of which other kinds there is something about a run."""

    reveals: bool
    approvals: bool
    forms: bool
    reversed: bool
    followed: bool


@dataclass(frozen=True, slots=True)
class ReadRun:
    """What was read. ``document`` is that of its version (None for a draft), ``plan`` what its plan holds."""

    run: RunRecord
    workflow_name: str
    document: Json | None
    plan: Json | None
    history: Sequence[EventRecord]

    @property
    def has_more(self) -> bool:
        """Whether something may belong to it that is not read here: what the run itself says, or its batch has."""
        run = self.run
        return run.has_more or run.kind == "batch" or run.of is not None or run.parent is not None


_RUN_COLUMNS = tuple(RunRecord.__dataclass_fields__)
_RUN = f"""
SELECT {", ".join(f"r.{name}" for name in _RUN_COLUMNS)}, w.name, v.document, p.plan
  FROM runs r
  JOIN workflows w ON w.client_id = r.client_id AND w.id = r.workflow_id
  LEFT JOIN workflow_versions v
    ON v.client_id = r.client_id AND v.workflow_id = r.workflow_id AND v.version = r.version
  LEFT JOIN run_plans p ON p.client_id = r.client_id AND p.run_id = r.id
 WHERE r.client_id = %s AND r.id = %s"""  # noqa: S608 - the columns' own names
_BESIDE = """
SELECT EXISTS (SELECT FROM reveals x WHERE x.client_id = r.client_id AND x.run_id = r.id),
       EXISTS (SELECT FROM approvals x WHERE x.client_id = r.client_id AND x.run_id IN (r.id, r.parent)),
       EXISTS (SELECT FROM forms x WHERE x.client_id = r.client_id AND x.run_id = r.id),
       EXISTS (SELECT FROM runs x WHERE x.client_id = r.client_id AND x.of = r.id),
       EXISTS (SELECT FROM runs x WHERE x.client_id = r.client_id AND x.follows = r.id)
  FROM runs r
 WHERE r.client_id = %s AND r.id = %s"""
_HISTORY = """
SELECT seq, node, kind, attempt, payload, at FROM step_events WHERE client_id = %s AND run_id = %s ORDER BY seq"""


async def read_run(ctx: Context, run_id: UUID) -> ReadRun | None:
    """The run of that id; None where the client has none."""
    return _read(*await tenant_trip(ctx, *_asking(ctx, run_id)))


async def read_run_in(session: AsyncSession, ctx: Context, run_id: UUID) -> ReadRun | None:
    """The same inside a session, as that sees it."""
    return _read(*[await in_session(session, ask) for ask in _asking(ctx, run_id)])


async def beside(session: AsyncSession, ctx: Context, run_id: UUID) -> Beside:
    """What else there is about a run that exists."""
    [found] = await in_session(session, Ask(_BESIDE, (ctx.client_id, run_id)))
    return Beside(*found)


def _asking(ctx: Context, run_id: UUID) -> tuple[Ask, Ask]:
    key = (ctx.client_id, run_id)
    return Ask(_RUN, key), Ask(_HISTORY, key)


def _read(runs: Rows, events: Rows) -> ReadRun | None:
    if not runs:
        return None
    count = len(_RUN_COLUMNS)
    run, (name, document, plan) = runs[0][:count], runs[0][count:]
    return ReadRun(RunRecord(*run), name, document, plan, [EventRecord(*event) for event in events])
