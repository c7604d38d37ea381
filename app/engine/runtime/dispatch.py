"""The worker's side of the doors: its lease, and the runs it claims."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from uuid import UUID

import psycopg
import structlog

from app.core.process import code_version
from app.data import doors
from app.data.commits import claim_loaded
from app.data.doors import Claim
from app.data.links import Links
from app.data.session import SET_TENANT

__all__ = ["Claim", "Dispatch", "FenceLost", "LeaseLost", "Taken", "Woken"]

log = structlog.get_logger(__name__)


_HOLD = "SELECT fence, wakeups FROM run_queue WHERE client_id = %s AND run_id = %s AND worker_id = %s"


class FenceLost(Exception):
    """Another worker has taken the run over. Stop at once; nothing more may be written."""


class Woken(Exception):
    """Nothing was written: something was asked of the run when it was to end or be planned, or its worker stops."""

    def __init__(self, wakeups: int) -> None:
        super().__init__(f"woken {wakeups} times")
        self.wakeups = wakeups


class LeaseLost(Exception):
    """This worker was taken for dead (frozen, or cut off from the database). It must begin again as a new one."""


@dataclass(frozen=True)
class Taken:
    """A claimed run, and what it was loaded with (``opsloom_engine_load``), where it could be read with the others.

    ``at`` is when that was, by the monotonic clock.
    """

    claim: Claim
    loaded: dict[str, Any] | None = None
    at: float = field(default_factory=monotonic)


class Dispatch:
    """Claims, releases and watches runs for one worker."""

    def __init__(self, links: Links, worker_id: UUID) -> None:
        self._links = links
        self.worker_id = worker_id

    async def register(self, name: str, ttl_s: float) -> None:
        """Take a lease for ``ttl_s`` seconds under ``name``."""
        async with self._links.link() as link:
            await doors.register_worker(link, self.worker_id, name, "worker", ttl_s, code_version())

    async def claim(self, limit: int, spare: int = 0) -> list[Taken]:
        """Up to ``limit`` ready runs, shared out fairly between clients. Raises LeaseLost.

        The last ``spare`` of them are only of clients that nobody is working for.
        """
        try:
            async with self._links.link() as link:
                return [Taken(*found) for found in await claim_loaded(link, self.worker_id, limit, spare)]
        except psycopg.Error as error:
            if error.sqlstate == doors.NO_LEASE:
                raise LeaseLost from error
            if error.sqlstate is None or isinstance(error, psycopg.OperationalError):
                raise  # the database is away, or has no room
            log.warning("claim.not_loaded", error=type(error).__name__, sqlstate=error.sqlstate)
        # One of them cannot be read. Whoever walks it will say so; the others are not held up.
        async with self._links.link() as link:
            return [Taken(claim) for claim in await doors.claim_runs(link, self.worker_id, limit, spare)]

    async def wakeups(self) -> list[tuple[UUID, UUID, int]]:
        """The wake-up counter of every run that this worker holds."""
        async with self._links.link() as link:
            return await doors.held_runs(link, self.worker_id)

    async def let_go(self, client_id: UUID, run_id: UUID) -> None:
        """Give back a run that this worker holds without walking it (the answer to a claim or a release was lost)."""
        async with self._links.link() as link:
            tenant = (SET_TENANT, (str(client_id),))
            _, held = await link.trip([tenant, (_HOLD, (client_id, run_id, self.worker_id))])
            for fence, wakeups in held:
                await doors.release_run(link, Claim(client_id, run_id, fence, wakeups), self.worker_id, after_s=0)

    async def release(self, claim: Claim, *, retry_after_s: float) -> None:
        """Give the run back, to be claimed after ``retry_after_s`` seconds, or at once where it was woken."""
        async with self._links.link() as link:
            await doors.release_run(link, claim, self.worker_id, after_s=retry_after_s)
