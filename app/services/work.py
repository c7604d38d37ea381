"""Who works at what just now, and what waits for which client: the inside of the health page.

Which runs are held and how long queues are comes through doors, over all clients. What a run is about is read in a
session of its client, and only where the reader may see runs there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text

from app.core.context import Actor, Context
from app.data import health_doors
from app.data.health_doors import AtHand, ClientQueue, LeaseHolder
from app.data.session import door_session, tenant_session
from app.services.clients import ClientView
from app.services.permissions import permissions_of

MOST_RUNS = 50
MOST_CLIENTS = 200
# A step that is being done has its intent near the end of its run's history; only that end is looked at.
_TAIL = 50

_ABOUT = """
SELECT r.id, r.kind, r.label, w.name, step.node, step.at,
       jsonb_path_query_first(coalesce(v.document, r.extra -> 'document'), '$.nodes[*] ? (@.id == $node).name',
                              jsonb_build_object('node', step.node), true) #>> '{}'
  FROM runs r
  JOIN workflows w ON w.client_id = r.client_id AND w.id = r.workflow_id
  LEFT JOIN workflow_versions v
    ON v.client_id = r.client_id AND v.workflow_id = r.workflow_id AND v.version = r.version
  LEFT JOIN LATERAL (
    SELECT newest.node, newest.at FROM (
        SELECT DISTINCT ON (tail.node) tail.node, tail.kind, tail.at FROM (
            SELECT e.node, e.kind, e.at, e.seq FROM step_events e
             WHERE e.client_id = r.client_id AND e.run_id = r.id ORDER BY e.seq DESC LIMIT :tail) AS tail
         WHERE tail.node <> '' ORDER BY tail.node, tail.seq DESC) AS newest
     WHERE newest.kind = 'intended' ORDER BY newest.at LIMIT 1) AS step ON true
 WHERE r.client_id = :client AND r.id = ANY(:runs)"""


class HeldView(BaseModel):
    """A run that a worker has in hand since ``since``. ``step`` is the oldest step that is being done, by its name."""

    model_config = ConfigDict(frozen=True)

    client: str
    client_name: str
    run: UUID
    kind: str
    label: str
    workflow_name: str
    since: datetime
    step: str | None = None
    step_since: datetime | None = None


class WorkerView(BaseModel):
    """A worker or scheduler. ``holds`` counts its runs of every client, ``runs`` are those that the reader may see.

    ``leads``: of several schedulers the one that acts. ``code`` is empty for a worker of before this was said.
    """

    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str
    kind: str
    state: str
    code: str
    leads: bool
    started_at: datetime
    heard_at: datetime
    holds: int
    runs: list[HeldView]


class QueueView(BaseModel):
    """The queue of one client; without ``client``, of all that the reader does not see, who are ``clients`` many.

    ``waiting`` runs need a worker, the oldest since ``oldest_at``; ``running`` are at work, at most ``limit`` at once
    (None: as many as there is room for); ``timers`` wait for a time, ``idle`` for somebody.
    """

    model_config = ConfigDict(frozen=True)

    client: str | None
    name: str
    clients: int
    waiting: int
    running: int
    limit: int | None
    timers: int
    idle: int
    oldest_at: datetime | None


async def work_at_hand(actor: Actor, mine: Sequence[ClientView]) -> tuple[list[WorkerView], list[QueueView]]:
    """Workers and queues. ``mine`` are the actor's clients with their role in each."""
    seen = {one.id: one for one in mine if "run.read" in permissions_of(one.role)}
    async with door_session() as session:
        workers = await health_doors.lease_holders(session)
        held = await health_doors.runs_at_hand(session, seen, MOST_RUNS)
        queues = await health_doors.queue_by_client(session, seen, MOST_CLIENTS + 1)
    runs = await _held(actor, seen, held)
    return [_worker(one, runs) for one in workers], [_queue(one, seen) for one in queues]


async def _held(actor: Actor, seen: Mapping[UUID, ClientView], held: Sequence[AtHand]) -> dict[UUID, list[HeldView]]:
    """What each worker has in hand, told by each run's own client."""
    by_client: dict[UUID, list[AtHand]] = defaultdict(list)
    for one in held:
        by_client[one.client_id].append(one)
    found: dict[UUID, list[HeldView]] = defaultdict(list)
    for client_id, ones in by_client.items():
        client = seen[client_id]
        context = Context(client.id, client.slug, actor, client.role, permissions_of(client.role))
        about = await _about(context, [one.run_id for one in ones])
        for one in ones:
            if row := about.get(one.run_id):
                found[one.worker_id].append(_run(client, one, row))
    return found


async def _about(ctx: Context, runs: list[UUID]) -> dict[UUID, Any]:
    ctx.require("run.read")
    async with tenant_session(ctx) as session:
        values = {"client": ctx.client_id, "runs": runs, "tail": _TAIL}
        rows = (await (await session.connection()).execute(text(_ABOUT), values)).all()
    return {row[0]: row for row in rows}


def _run(client: ClientView, held: AtHand, row: Any) -> HeldView:
    _, kind, label, workflow, node, since, name = row
    return HeldView(
        client=client.slug,
        client_name=client.name,
        run=held.run_id,
        kind=kind,
        label=label,
        workflow_name=workflow,
        since=held.claimed_at,
        step=name or node,
        step_since=since,
    )


def _worker(one: LeaseHolder, runs: Mapping[UUID, list[HeldView]]) -> WorkerView:
    return WorkerView(
        id=one.worker_id,
        name=one.name,
        kind=one.kind,
        state="alive" if one.alive else "silent",
        code=one.code,
        leads=one.leads,
        started_at=one.started_at,
        heard_at=one.heard_at,
        holds=one.holds,
        runs=sorted(runs.get(one.worker_id, ()), key=lambda held: held.since),
    )


def _queue(one: ClientQueue, seen: Mapping[UUID, ClientView]) -> QueueView:
    client = seen.get(one.client_id) if one.client_id else None
    return QueueView(
        client=client.slug if client else None,
        name=client.name if client else "",
        clients=one.clients,
        waiting=one.waiting,
        running=one.running,
        limit=one.max_running,
        timers=one.timers,
        idle=one.idle,
        oldest_at=one.oldest_at,
    )
