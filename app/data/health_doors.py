"""The doors of the health page: who works, at what, and what waits. Listed, with who may open them, in
:mod:`app.data.doors`.

What is told of single runs and clients is limited to the clients that the caller names; of all others there are numbers
only. Web.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession


@dataclass(frozen=True)
class LeaseHolder:
    """A worker or scheduler (``kind``). ``alive``: its lease is valid; ``leads``: it is the scheduler that acts;
    ``holds``: how many runs it has, of whichever client."""

    worker_id: UUID
    name: str
    kind: str
    code: str
    alive: bool
    leads: bool
    holds: int
    started_at: datetime
    heard_at: datetime


@dataclass(frozen=True)
class AtHand:
    """A run that a worker holds, and since when."""

    worker_id: UUID
    client_id: UUID
    run_id: UUID
    claimed_at: datetime


@dataclass(frozen=True)
class ClientQueue:
    """The queue of one client, or (``client_id`` None) of all that were not named, who are ``clients`` many.

    ``waiting`` runs need a worker, the oldest since ``oldest_at``; ``running`` are walked, at most ``max_running``;
    ``timers`` wait for a time, ``idle`` for somebody.
    """

    client_id: UUID | None
    clients: int
    waiting: int
    running: int
    timers: int
    idle: int
    oldest_at: datetime | None
    max_running: int | None


async def lease_holders(session: AsyncSession) -> list[LeaseHolder]:
    """Everybody with a lease, workers first, the oldest first."""
    return [LeaseHolder(*row) for row in await _rows(session, "SELECT * FROM doors.lease_holders()")]


async def runs_at_hand(session: AsyncSession, shown: Collection[UUID], most: int) -> list[AtHand]:
    """The runs of ``shown`` clients that workers hold, those held longest first."""
    return [
        AtHand(*row)
        for row in await _rows(session, "SELECT * FROM doors.runs_at_hand(%s::uuid[], %s)", list(shown), most)
    ]


async def queue_by_client(session: AsyncSession, shown: Collection[UUID], most: int) -> list[ClientQueue]:
    """The others together first, then each of ``shown`` with runs in the queue, who waits longest first."""
    return [
        ClientQueue(*row)
        for row in await _rows(session, "SELECT * FROM doors.queue_by_client(%s::uuid[], %s)", list(shown), most)
    ]


async def _rows(session: AsyncSession, statement: str, *values: Any) -> list[Any]:
    connection = await session.connection()
    return list((await connection.exec_driver_sql(statement, values)).all())
