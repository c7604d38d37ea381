"""The engine's write: events, the run, its place in the queue and its audit events in one statement and one commit, for
one run or for several."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.storable import is_storable, storable
from app.data.doors import Claim, Connection

LOST = "OL001"
_NUL = r"\u0000"
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)
_COMMIT = "SELECT public.engine_commit(%s, %s, %s, %s, %s::jsonb, %s::jsonb, %s::jsonb), NULL"
# Where the run was woken and nothing is written, nothing is told either.
_COMMIT_TOLD = (
    "SELECT woken, CASE WHEN woken >= 0 THEN public.audit_append(%s, %s::jsonb) END"
    " FROM public.engine_commit(%s, %s, %s, %s, %s::jsonb, %s::jsonb, %s::jsonb) AS woken"
)
_COMMIT_MANY = "SELECT woken, last FROM public.engine_commit_many(%s, %s::jsonb, %s::jsonb) ORDER BY place"
# A claim need not reach the disk before the run is loaded: what is written of the run under it does so with the claim
# before it, and a claim that a crash took back is a run that is claimed again, under another fence.
_CLAIM = (
    "SELECT public.opsloom_engine_load(c.client_id, pg_catalog.array_agg(c.run_id))"
    " FROM pg_catalog.set_config('synchronous_commit', 'off', true) AS soon, doors.claim_runs(%s, %s, %s) AS c"
    " GROUP BY c.client_id"
)
_LOAD = (
    "SELECT public.opsloom_engine_load(w.client, pg_catalog.array_agg(w.run))"
    " FROM unnest(%s::uuid[], %s::uuid[]) AS w (client, run) GROUP BY w.client"
)
_WAKE = "SELECT public.wake_run(%s, %s, %s, %s)"


class RunLost(Exception):
    """The run is another worker's by now, or this worker's lease has ended. Nothing was written; drop the run."""


@dataclass(frozen=True)
class Write:
    """What is to be written of a run.

    ``events`` are ``{"seq", "node", "kind", "attempt", "payload"}``. ``run_patch`` may hold ``state``, ``reason``,
    ``seal``, ``sealed_plan``, ``summary``, ``extra`` (laid over what is there), ``plan`` with ``plan_at``, and the
    flags ``started`` and ``finished``. ``queue_patch`` is ``{"done": True}``, or ``{"release": True, "wakeups":
    claim.wakeups}`` with ``ready_at`` (ISO 8601), ``delay_s`` or neither (until it is woken). ``told`` are events of
    the client's audit chain as ``audit_append`` takes them.
    """

    claim: Claim
    events: Sequence[Mapping[str, Any]] = ()
    run_patch: Mapping[str, Any] | None = None
    queue_patch: Mapping[str, Any] | None = None
    told: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Written:
    """``woken`` are the run's wake-ups so far: more than its claim's mean that something happened which the walk must
    see. Where the run was to end and was woken since, it is -1 - wake-ups, and nothing was written. ``last`` is the
    number of the last event of the client's audit chain, where something was told."""

    woken: int
    last: int | None


async def engine_commit(connection: Connection, worker_id: UUID, write: Write) -> Written:
    """Write through ``connection``, which is signed in as the worker and in autocommit.

    Raises :class:`RunLost`, psycopg.errors.UniqueViolation for a ``seq`` that is taken, psycopg.Error otherwise.
    """
    claim = write.claim
    values: tuple[object, ...] = (claim.client_id, claim.run_id, worker_id, claim.fence)
    values += (_json(write.events or None), _json(write.run_patch), _json(write.queue_patch))
    try:
        if write.told:
            cursor = await connection.execute(_COMMIT_TOLD, (claim.client_id, _json(write.told), *values))
        else:
            cursor = await connection.execute(_COMMIT, values)
    except psycopg.Error as error:
        if error.sqlstate == LOST:
            raise RunLost(str(claim.run_id)) from None
        raise
    row = await cursor.fetchone()
    assert row is not None
    return Written(*row)


async def engine_commit_many(connection: Connection, worker_id: UUID, writes: Sequence[Write]) -> list[Written | None]:
    """Write what belongs to several runs in one commit. None where nothing was written of that run: it is lost, or
    somebody has it locked, or its end lets others look; :func:`engine_commit` finds out.

    Raises psycopg.Error, and nothing is written of any of them then.
    """
    asked = [
        {
            "client": str(write.claim.client_id),
            "run": str(write.claim.run_id),
            "fence": write.claim.fence,
            "events": list(write.events) or None,
            "run_patch": write.run_patch,
            "queue_patch": write.queue_patch,
        }
        for write in writes
    ]
    lean = [{name: value for name, value in each.items() if value is not None} for each in asked]
    cursor = await connection.execute(_COMMIT_MANY, (worker_id, _json(lean), _json(_by_client(writes))))
    return [None if woken is None else Written(woken, last) for woken, last in await cursor.fetchall()]


def _by_client(writes: Sequence[Write]) -> list[dict[str, Any]]:
    """What is told, by client and in their order; each event says to which write, from 1, it belongs."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for place, write in enumerate(writes, 1):
        if write.told:
            found.setdefault(str(write.claim.client_id), []).extend({**event, "place": place} for event in write.told)
    return [{"client": client, "events": found[client]} for client in sorted(found)]


async def claim_loaded(
    connection: Connection, worker_id: UUID, limit: int, spare: int = 0
) -> list[tuple[Claim, dict[str, Any]]]:
    """What :func:`app.data.doors.claim_runs` gives, each run with what :func:`engine_load` gives, in one statement.

    Raises as both do, and nothing is claimed then: a run that cannot be read is to be claimed without.
    """
    cursor = await connection.execute(_CLAIM, (worker_id, limit, spare))
    found = _each([raw for (raw,) in await cursor.fetchall()])
    return [(Claim(*key, raw["fence"], raw["wakeups"]), raw) for key, raw in found.items()]


async def engine_load(connection: Connection, claims: Sequence[Claim]) -> list[dict[str, Any] | None]:
    """Each run with all that walking it needs (alembic/sql/0024/engine_load.sql): what belongs to its client, and what
    is its own; None where it is gone. Runs of one client share objects, and nobody may change them."""
    values = ([claim.client_id for claim in claims], [claim.run_id for claim in claims])
    cursor = await connection.execute(_LOAD, values)
    found = _each([raw for (raw,) in await cursor.fetchall()])
    return [found.get((claim.client_id, claim.run_id)) for claim in claims]


def _each(loaded: Sequence[dict[str, Any]]) -> dict[tuple[UUID, UUID], dict[str, Any]]:
    """The runs of each client that was loaded, by client and run."""
    found = {}
    for client in loaded:
        document = None
        of_client = {name: value for name, value in client.items() if name != "runs"}
        for run in client["runs"]:
            document = document if run["shared"] else run["document"]
            key = UUID(run["run"]["client_id"]), UUID(run["run"]["id"])
            found[key] = {**of_client, **run, "document": document}
    return found


def _json(value: Any) -> str | None:
    """It is written whatever a platform has put into it: a step that was done must be known to be."""
    if value is None:
        return None
    text = _ENCODER.encode(value)
    if is_storable(text) and _NUL not in text:
        return text
    return _ENCODER.encode(storable(value))


async def wake_run(
    session: AsyncSession, client_id: UUID, run_id: UUID, *, ready_at: Any = None, priority: int | None = None
) -> int:
    """Put a run into the queue or tell its walker to look again, inside a tenant session. Gives its wake-ups.

    ``ready_at`` None means now. A wake during a walk is not lost: the walk's release then leaves the run ready. Tell
    Redis after the commit (:func:`app.data.session.after_commit`).
    """
    connection = await session.connection()
    result = await connection.exec_driver_sql(_WAKE, (client_id, run_id, ready_at, priority))
    return int(result.scalar_one())
