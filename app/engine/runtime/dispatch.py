"""The worker's side of the doors: its lease, and the runs it claims."""

from __future__ import annotations

from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool

from app.core.process import code_version
from app.data import doors
from app.data.doors import Claim

__all__ = ["Claim", "Dispatch", "FenceLost", "LeaseLost", "Woken"]


_HOLD = "SELECT fence, wakeups FROM run_queue WHERE client_id = %s AND run_id = %s AND worker_id = %s"


class FenceLost(Exception):
    """Another worker has taken the run over. Stop at once; nothing more may be written."""


class Woken(Exception):
    """Something was asked of the run at the moment when it was to end; nothing was written. Look first."""

    def __init__(self, wakeups: int) -> None:
        super().__init__(f"woken {wakeups} times")
        self.wakeups = wakeups


class LeaseLost(Exception):
    """This worker was taken for dead (frozen, or cut off from the database). It must begin again as a new one."""


class Dispatch:
    """Claims, releases and watches runs for one worker."""

    def __init__(self, pool: AsyncConnectionPool, worker_id: UUID) -> None:
        self._pool = pool
        self.worker_id = worker_id

    async def register(self, name: str, ttl_s: float) -> None:
        """Take a lease for ``ttl_s`` seconds under ``name``."""
        async with self._pool.connection() as connection:
            await doors.register_worker(connection, self.worker_id, name, "worker", ttl_s, code_version())

    async def claim(self, limit: int, spare: int = 0) -> list[Claim]:
        """Up to ``limit`` ready runs, shared out fairly between clients. Raises LeaseLost.

        The last ``spare`` of them are only of clients that nobody is working for.
        """
        try:
            async with self._pool.connection() as connection:
                return await doors.claim_runs(connection, self.worker_id, limit, spare)
        except psycopg.Error as error:
            if error.sqlstate == doors.NO_LEASE:
                raise LeaseLost from error
            raise

    async def wakeups(self) -> list[tuple[UUID, UUID, int]]:
        """The wake-up counter of every run that this worker holds."""
        async with self._pool.connection() as connection:
            return await doors.held_runs(connection, self.worker_id)

    async def let_go(self, client_id: UUID, run_id: UUID) -> None:
        """Give back a run that this worker holds without walking it (the answer to a claim or a release was lost)."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT set_config('app.current_tenant', %s, true)", (str(client_id),))
            cursor = await connection.execute(_HOLD, (client_id, run_id, self.worker_id))
            if row := await cursor.fetchone():
                claim = Claim(client_id, run_id, *row)
                await doors.release_run(connection, claim, self.worker_id, after_s=0)

    async def heal(self) -> None:
        """Put fresh connections in the place of those that a restart of PostgreSQL has broken."""
        await self._pool.check()

    async def release(self, claim: Claim, *, retry_after_s: float) -> None:
        """Give the run back, to be claimed after ``retry_after_s`` seconds, or at once where it was woken."""
        async with self._pool.connection() as connection:
            await doors.release_run(connection, claim, self.worker_id, after_s=retry_after_s)
