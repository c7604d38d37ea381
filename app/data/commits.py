"""The engine's write: events, the run and its place in the queue in one statement, one round trip, one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from sqlmodel.ext.asyncio.session import AsyncSession

from app.data.doors import Claim

LOST = "OL001"
_COMMIT = "SELECT public.engine_commit(%s, %s, %s, %s, %s, %s, %s)"
_WAKE = "SELECT public.wake_run(%s, %s, %s, %s)"


class RunLost(Exception):
    """The run is another worker's by now, or this worker's lease has ended. Nothing was written; drop the run."""


async def engine_commit(
    connection: psycopg.AsyncConnection[Any],
    claim: Claim,
    worker_id: UUID,
    events: Sequence[Mapping[str, Any]] = (),
    *,
    run_patch: Mapping[str, Any] | None = None,
    queue_patch: Mapping[str, Any] | None = None,
) -> int:
    """Write through ``connection``, which is in autocommit and signed in as the worker.

    ``events`` are ``{"seq", "node", "kind", "attempt", "payload"}``. ``run_patch`` may hold ``state``, ``reason``,
    ``seal``, ``sealed_plan``, ``summary``, ``extra`` (laid over what is there) and the flags ``started`` and
    ``finished``. ``queue_patch`` is ``{"done": True}``, or ``{"release": True, "wakeups": claim.wakeups}`` with
    ``ready_at`` (ISO 8601), ``delay_s`` or neither (until it is woken).

    Gives the run's wake-ups so far: more than ``claim.wakeups`` means that something happened which the walk must see.
    Raises :class:`RunLost`, psycopg.errors.UniqueViolation for a ``seq`` that is taken, psycopg.Error otherwise.
    """
    values = (
        claim.client_id,
        claim.run_id,
        worker_id,
        claim.fence,
        Jsonb(list(events)) if events else None,
        Jsonb(run_patch) if run_patch else None,
        Jsonb(queue_patch) if queue_patch else None,
    )
    try:
        cursor = await connection.execute(_COMMIT, values)
    except psycopg.Error as error:
        if error.sqlstate == LOST:
            raise RunLost(str(claim.run_id)) from None
        raise
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


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
