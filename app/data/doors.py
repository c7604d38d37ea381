"""The short list of what looks across clients. Everything else happens inside one client.

Each is a function of schema ``doors`` with its owner's narrow rights; a login role may call its own doors only
(``CALLERS``). They give ids and states, never business data, which is then read in a tenant session.

Doors of the web take a session (:func:`app.data.session.door_session`, or a tenant session for :func:`members`). Doors
of the engine take a link or psycopg's own connection, in autocommit: each is one round trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from sqlmodel.ext.asyncio.session import AsyncSession

from app.data import roles
from app.data.link import Link
from app.data.trips import Ask, in_session

Connection = Link | psycopg.AsyncConnection[Any]
T = TypeVar("T")

NO_LEASE = "OL003"

_RELEASE = "SELECT doors.release_run(%s, %s, %s, %s, %s, clock_timestamp() + make_interval(secs => %s))"
_WEB, _WORKER, _SCHEDULER = frozenset({roles.WEB}), frozenset({roles.WORKER}), frozenset({roles.SCHEDULER})
# Every door and who may open it. The proof of isolation fails for a SECURITY DEFINER function that is not listed here,
# and for one that anybody else may call.
CALLERS: dict[str, frozenset[str]] = {
    "account_by_email": _WEB,
    "client_by_slug": _WEB,
    "clients_of": _WEB,
    "members": _WEB | _WORKER | _SCHEDULER,
    "claim_runs": _WORKER,
    "release_run": _WORKER,
    "held_runs": _WORKER,
    "lease_valid": _WORKER,
    "due_timers": _WORKER | _SCHEDULER,
    "register_worker": _WORKER | _SCHEDULER,
    "renew_worker": _WORKER | _SCHEDULER,
    "drop_worker": _WORKER | _SCHEDULER,
    "reap_dead_workers": _WORKER | _SCHEDULER,
    "take_lead": _SCHEDULER,
    "due_triggers": _SCHEDULER,
    "unsigned_chains": _SCHEDULER,
    "maintain_partitions": _SCHEDULER,
    "drop_empty_partitions": _SCHEDULER,
    "history_clients": _SCHEDULER,
    "drop_history": _SCHEDULER,
    "history_is_empty": _SCHEDULER | {roles.OWNER},
    "metrics": _WEB | _WORKER | _SCHEDULER,
    # In app.data.entry_doors.
    "session_by_hash": _WEB,
    "token_by_hash": _WEB,
    "membership": _WEB,
    # In app.data.health_doors.
    "lease_holders": _WEB,
    "runs_at_hand": _WEB,
    "queue_by_client": _WEB,
}


@dataclass(frozen=True)
class AccountKey:
    """Where an account lives."""

    client_id: UUID
    id: UUID


@dataclass(frozen=True)
class ClientOfAccount:
    """A client that an account may enter, and as what."""

    client_id: UUID
    slug: str
    name: str
    colour: str
    tags: list[str]
    is_msp: bool
    role: str
    archived_at: datetime | None


@dataclass(frozen=True)
class Member:
    """Someone who may enter the present client; ``home`` is the client their account belongs to."""

    account_id: UUID
    home: UUID
    email: str
    name: str
    role: str
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True)
class Claim:
    """A run that is now a worker's. ``wakeups`` is what the worker has seen; ``fence`` goes into every write."""

    client_id: UUID
    run_id: UUID
    fence: int
    wakeups: int


@dataclass(frozen=True)
class Timers:
    """How many timers have become due, and when the next one will."""

    promoted: int
    next_at: datetime | None


@dataclass(frozen=True)
class Reaped:
    """Workers found dead and runs taken from them."""

    workers: int
    runs: int


@dataclass(frozen=True)
class QueueMetrics:
    """The queue and who works on it, over all clients."""

    due: int
    claimed: int
    timers: int
    idle: int
    oldest_due_s: float
    workers: int
    schedulers: int
    expired_leases: int


# --- Sign-in (web) --------------------------------------------------------------------------------------------------


async def account_by_email(session: AsyncSession, email_key: str) -> AccountKey | None:
    """Where the account with this address lives. ``email_key`` is the address as it is compared. Web."""
    return await _one(session, AccountKey, "SELECT * FROM doors.account_by_email(%s)", email_key)


async def client_by_slug(session: AsyncSession, slug: str) -> UUID | None:
    """The id of a client, for whoever will then be checked to be its member. Web."""
    rows = await _rows(session, "SELECT doors.client_by_slug(%s)", slug)
    found: UUID | None = rows[0][0]
    return found


async def clients_of(session: AsyncSession, account_id: UUID) -> list[ClientOfAccount]:
    """The clients that an account may enter, the MSP first, then by name. Web."""
    rows = await _rows(session, "SELECT * FROM doors.clients_of(%s)", account_id)
    return [ClientOfAccount(*row) for row in rows]


async def members(session: AsyncSession) -> list[Member]:
    """Who may enter the client of this tenant session, by name; nobody without a client. All processes."""
    return [Member(*row) for row in await _rows(session, "SELECT * FROM doors.members()")]


# --- Queue and leases (worker; leases and reaping also the scheduler) ------------------------------------------------


async def claim_runs(connection: Connection, worker_id: UUID, limit: int, spare: int = 0) -> list[Claim]:
    """Up to ``limit`` runs that are due, fairly across clients and within their limits, each with a new fence. Worker.

    The last ``spare`` places are taken only by clients of which no run is being walked anywhere.

    Raises psycopg.Error with sqlstate ``NO_LEASE`` where the worker's lease has ended.
    """
    cursor = await connection.execute("SELECT * FROM doors.claim_runs(%s, %s, %s)", (worker_id, limit, spare))
    return [Claim(*row) for row in await cursor.fetchall()]


async def release_run(connection: Connection, claim: Claim, worker_id: UUID, *, after_s: float | None = None) -> bool:
    """Give a run back: ready ``after_s`` seconds from now by the database's clock (None: when it is woken), or at once
    where it was woken since the claim.

    False where it is no longer the worker's. Worker.
    """
    values = (claim.client_id, claim.run_id, worker_id, claim.fence, claim.wakeups, after_s)
    return bool(await _value(connection, _RELEASE, values))


async def held_runs(connection: Connection, worker_id: UUID) -> list[tuple[UUID, UUID, int]]:
    """``(client, run, wake-ups)`` of every run that the worker holds. Worker."""
    cursor = await connection.execute("SELECT client_id, run_id, wakeups FROM doors.held_runs(%s)", (worker_id,))
    return [(client_id, run_id, wakeups) for client_id, run_id, wakeups in await cursor.fetchall()]


async def due_timers(connection: Connection, limit: int = 1000) -> Timers:
    """Make due timers claimable (a claim does so too) and tell when the next one is. Worker and scheduler."""
    cursor = await connection.execute("SELECT * FROM doors.due_timers(%s)", (limit,))
    return Timers(*(await cursor.fetchall())[0])


async def register_worker(
    connection: Connection, worker_id: UUID, name: str, kind: str, ttl_s: float, code: str = ""
) -> int:
    """Begin a lease of ``ttl_s`` seconds; ``kind`` is ``worker`` or ``scheduler``, ``code`` the version of what runs.
    Gives its fence."""
    values = (worker_id, name, kind, ttl_s, code)
    return int(await _value(connection, "SELECT doors.register_worker(%s, %s, %s, %s, %s)", values))


async def renew_worker(connection: Connection, worker_id: UUID, ttl_s: float) -> bool:
    """Lengthen a lease. False: it has ended, others may have the runs; stop, and begin again under a new id."""
    return bool(await _value(connection, "SELECT doors.renew_worker(%s, %s)", (worker_id, ttl_s)))


async def drop_worker(connection: Connection, worker_id: UUID) -> int:
    """End a lease in order. Gives the number of runs that others may now have."""
    return int(await _value(connection, "SELECT doors.drop_worker(%s)", (worker_id,)))


async def reap_dead_workers(connection: Connection) -> Reaped:
    """Make claimable what workers without a valid lease still hold."""
    cursor = await connection.execute("SELECT * FROM doors.reap_dead_workers()")
    return Reaped(*(await cursor.fetchall())[0])


async def take_lead(connection: Connection, name: str, holder: UUID, ttl_s: float) -> int | None:
    """Become, or stay, the one holder of ``name`` for ``ttl_s`` seconds. Its fence; None: another has it. Scheduler."""
    fence: int | None = await _value(connection, "SELECT doors.take_lead(%s, %s, %s)", (name, holder, ttl_s))
    return fence


async def due_triggers(connection: Connection, limit: int = 100) -> list[tuple[UUID, UUID | None]]:
    """``(client, trigger)`` of each trigger whose time has come, ``(client, None)`` where something has happened.
    Scheduler."""
    cursor = await connection.execute("SELECT client_id, trigger_id FROM doors.due_triggers(%s)", (limit,))
    return [(client_id, trigger_id) for client_id, trigger_id in await cursor.fetchall()]


async def unsigned_chains(connection: Connection, limit: int = 100) -> list[UUID]:
    """Clients with audit events that no checkpoint has signed. Scheduler."""
    cursor = await connection.execute("SELECT * FROM doors.unsigned_chains(%s)", (limit,))
    return [client_id for (client_id,) in await cursor.fetchall()]


async def maintain_partitions(connection: Connection, months_ahead: int = 3) -> int:
    """Make the partitions of the coming months. Gives the number made. Scheduler."""
    return int(await _value(connection, "SELECT doors.maintain_partitions(%s)", (months_ahead,)))


async def history_clients(connection: Connection, usual_days: int) -> list[tuple[UUID, int]]:
    """Every client, and after how many days the steps of its ended runs are archived. Scheduler."""
    cursor = await connection.execute("SELECT client_id, days FROM doors.history_clients(%s)", (usual_days,))
    return [(client_id, days) for client_id, days in await cursor.fetchall()]


async def drop_history(session: AsyncSession, runs: Sequence[UUID]) -> int:
    """Remove the steps and plans of archived runs of this tenant session's client. Gives the number of steps removed.

    Runs that are not marked as archived, and those of others, keep theirs. Scheduler.
    """
    return int((await _rows(session, "SELECT doors.drop_history(%s)", list(runs)))[0][0])


async def drop_empty_partitions(connection: Connection, months_behind: int = 1) -> int:
    """Drop the months of history that are over by ``months_behind`` and hold nothing. Gives their number. Scheduler."""
    return int(await _value(connection, "SELECT doors.drop_empty_partitions(%s)", (months_behind,)))


async def metrics(connection: Connection) -> QueueMetrics:
    """Numbers over all clients. Each login role."""
    cursor = await connection.execute("SELECT * FROM doors.metrics()")
    return QueueMetrics(*(await cursor.fetchall())[0])


async def queue_metrics(session: AsyncSession) -> QueueMetrics:
    """As :func:`metrics`, through a session."""
    return QueueMetrics(*(await _rows(session, "SELECT * FROM doors.metrics()"))[0])


async def _rows(session: AsyncSession, statement: str, *values: Any) -> list[Any]:
    return await in_session(session, Ask(statement, values))


async def _one(session: AsyncSession, kind: type[T], statement: str, *values: Any) -> T | None:
    rows = await _rows(session, statement, *values)
    return kind(*rows[0]) if rows else None


async def _value(connection: Connection, statement: str, values: tuple[Any, ...]) -> Any:
    cursor = await connection.execute(statement, values)
    return (await cursor.fetchall())[0][0]
