"""Whether each part of the stack answers, who works at what, and what waits for which client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import DBAPIError

from app.core.context import Actor
from app.core.errors import Forbidden, Unavailable
from app.core.process import code_version
from app.core.settings import get_settings
from app.data import doors
from app.data.counters import get_redis
from app.data.session import door_session
from app.data.vault import get_vault
from app.services.clients import clients_of
from app.services.permissions import permissions_of
from app.services.work import QueueView, WorkerView, work_at_hand

_PATIENCE_S = 3.0
# As this process was started, whatever has become of the files since.
CODE = code_version()


class PartView(BaseModel):
    """One part. ``state`` is up, down or degraded; ``detail`` says why, ``ms`` how long it took to answer."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: str
    detail: dict[str, Any] = {}
    ms: float = 0.0


class HealthView(BaseModel):
    """All parts, and the queue's numbers where the database could be asked."""

    model_config = ConfigDict(frozen=True)

    ready: bool
    parts: list[PartView]
    queue: dict[str, float]


class SystemView(HealthView):
    """The health of the system as its people see it. ``code`` is the version that the web process runs.

    ``workers`` and ``clients`` name runs and clients of the reader only; of others they hold numbers.
    """

    code: str
    workers: list[WorkerView]
    clients: list[QueueView]


async def status(actor: Actor) -> SystemView:
    """The health of the system, for whoever may see it in the MSP's client. Raises Forbidden."""
    mine = await clients_of(actor)
    if not any(client.is_msp and "health.read" in permissions_of(client.role) for client in mine):
        raise Forbidden("health.read")
    found = await readiness()
    workers: list[WorkerView] = []
    queues: list[QueueView] = []
    # Where the database does not answer, the part that says so is what there is to show.
    with suppress(Unavailable, TimeoutError, DBAPIError):
        async with asyncio.timeout(_PATIENCE_S):
            workers, queues = await work_at_hand(actor, mine)
    return SystemView(**dict(found), code=CODE, workers=workers, clients=queues)


async def readiness() -> HealthView:
    """Ask every part at once; one that takes longer than three seconds is down."""
    queue: dict[str, float] = {}

    async def postgres() -> PartView:
        queue.update(await queue_numbers())
        return PartView(name="postgres", state="up")

    async def workers() -> PartView:
        found = await queue_numbers()
        wanted = get_settings().workers
        state = "up" if found["workers"] >= min(wanted, 1) else "down"
        detail = {"count": int(found["workers"]), "schedulers": int(found["schedulers"])}
        return PartView(name="workers", state=state if found["workers"] >= wanted else _less(state), detail=detail)

    parts = await asyncio.gather(
        *(_timed(name, ask) for name, ask in (("postgres", postgres), ("redis", _redis), ("vault", _vault)))
    )
    parts.append(await _timed("workers", workers))
    # Without workers nothing runs, but pages and API work: people must be able to see that.
    ready = all(part.state == "up" for part in parts if part.name != "workers")
    return HealthView(ready=ready, parts=parts, queue=queue)


def _less(state: str) -> str:
    return "degraded" if state == "up" else state


async def queue_numbers() -> dict[str, float]:
    """The queue and who works on it, over all clients, without anything that belongs to one."""
    async with door_session() as session:
        return {name: float(value) for name, value in asdict(await doors.queue_metrics(session)).items()}


async def _redis() -> PartView:
    await get_redis().ping()
    return PartView(name="redis", state="up")


async def _vault() -> PartView:
    found = await get_vault("web").health()
    usable = bool(found["initialized"]) and not found["sealed"]
    return PartView(name="vault", state="up" if usable else "down", detail=found)


async def _timed(name: str, ask: Callable[[], Awaitable[PartView]]) -> PartView:
    """The answer of one part. Why it is down is said by the kind of error only: a message may name an address."""
    started = time.perf_counter()
    try:
        found = await asyncio.wait_for(ask(), _PATIENCE_S)
    except Unavailable as error:
        found = PartView(name=name, state="down", detail={"reason": error.code})
    except Exception as error:
        found = PartView(name=name, state="down", detail={"reason": type(error).__name__})
    return found.model_copy(update={"ms": round((time.perf_counter() - started) * 1000, 1)})
