"""Mishaps of every kind, in an order that a seed decides, over a stack and workers that a test owns."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from redis import Redis

from connectors.testing import Sandbox
from tests.engine.kit import Worker, Workers, off_loop, wait_until
from tests.servers import TestStack

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
_CREW = 3
_LAPSE_S = 60.0


class ClockMover:
    """Starts workers whose clock is wrong, with the library of Debian's ``faketime``."""

    there = FAKETIME.exists()

    @staticmethod
    def environment(seconds: int) -> dict[str, str]:
        """What makes a process see the time ``seconds`` from now. Its monotonic clock stays right, as with a real
        clock that was set wrongly."""
        return {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    @staticmethod
    def movable(file: Path) -> dict[str, str]:
        """What makes a process see the time that :meth:`move` sets by ``file``, while it works."""
        ClockMover.move(file, 0)
        settings = {**ClockMover.environment(0), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
        del settings["FAKETIME"]  # it would come before the file
        return settings

    @staticmethod
    def move(file: Path, seconds: int) -> None:
        """Set the clock ``seconds`` from now. The file is there and whole at every moment."""
        fresh = file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}s\n")
        fresh.replace(file)


def start_scheduler(stack: TestStack, log: Path) -> subprocess.Popen[bytes]:
    """The scheduler, as ``opsloom scheduler`` starts it: it finds dead workers."""
    environment = {**os.environ, **stack.environment()}
    with log.open("wb") as out:
        command = [sys.executable, "-m", "app.cli", "scheduler"]
        return subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)


@dataclass
class Storm:
    """``told`` is what happened, in order, for whoever has to understand a failure."""

    house: TestStack
    crew: Workers
    sandboxes: dict[str, Sandbox]
    random: Random
    told: list[str] = field(default_factory=list)
    _frozen: list[Worker] = field(default_factory=list)
    _thawing: list[asyncio.Task[None]] = field(default_factory=list)

    def mishaps(self, rounds: int) -> list[Callable[[], Awaitable[None]]]:
        """Every kind of mishap ``rounds`` times, shuffled."""
        kinds = [
            self.kill_a_worker,
            self.kill_a_worker,
            self.freeze_a_worker,
            self.flush_valkey,
            self.take_valkey_away,
            self.restart_postgres,
            self.drop_an_answer_of("m365"),
            self.drop_an_answer_of("http"),
            *([self.move_a_clock] if ClockMover.there else []),
        ]
        found = kinds * rounds
        self.random.shuffle(found)
        return found

    async def crew_up(self) -> None:
        """The workers at the beginning."""
        await off_loop(self.crew.start, _CREW)

    async def over(self) -> None:
        """Wait until every frozen worker was woken and has ended."""
        await asyncio.gather(*self._thawing)

    def at_work(self) -> list[Worker]:
        """Workers that live, have come up and are not frozen. Whoever starts one waits for it: it may not be lost."""
        living = [worker for worker in self.crew.started if worker.process.poll() is None]
        up = [worker for worker in living if b"worker.ready" in worker.log.read_bytes()]
        return [worker for worker in up if worker not in self._frozen]

    async def _somebody(self) -> Worker:
        """One of those at work. Before that one more comes where it is the last: frozen ones are replaced late."""
        while len(self.at_work()) < 2:
            await off_loop(self.crew.start)
        return self.random.choice(self.at_work())

    async def kill_a_worker(self) -> None:
        """kill -9, and another one in its place."""
        victim = await self._somebody()
        self.told.append(f"kill -9 {victim.process.pid}")
        victim.kill()
        await off_loop(self.crew.start)

    async def freeze_a_worker(self) -> None:
        """SIGSTOP; SIGCONT once it was taken for dead. Meanwhile the storm goes on."""
        victim = await self._somebody()
        self._frozen.append(victim)
        self.told.append(f"freeze {victim.process.pid}")
        victim.freeze()
        self._thawing.append(asyncio.create_task(self._thaw(victim)))

    async def _thaw(self, victim: Worker) -> None:
        await off_loop(wait_until, lambda: not self._has_lease(victim), _LAPSE_S, "the frozen worker's lease to lapse")
        self.told.append(f"wake {victim.process.pid}")
        victim.wake()
        status = await off_loop(victim.process.wait, 60)
        assert status == 1, f"a worker that was taken for dead ended with {status}: {victim.log.read_text()[-2000:]}"
        await off_loop(self.crew.start)

    def _has_lease(self, worker: Worker) -> bool:
        """Whether it still has one; True also where nobody can tell, as PostgreSQL is away."""
        query = "SELECT count(*) FROM worker_leases WHERE kind = 'worker' AND name LIKE %s"
        try:
            with psycopg.connect(self.house.superuser_dsn, autocommit=True) as link:
                row = link.execute(query, (f"%-{worker.process.pid}",)).fetchone()
        except psycopg.Error:
            return True
        return row is None or row[0] > 0

    async def flush_valkey(self) -> None:
        self.told.append("flush Valkey")
        Redis.from_url(self.house.redis_url).flushall()

    async def take_valkey_away(self) -> None:
        """Stopped for a moment or some seconds."""
        await self._away("valkey", self.random.uniform(0, 4))

    async def restart_postgres(self) -> None:
        """Stopped, and there again after at most two seconds."""
        await self._away("postgres", self.random.uniform(0, 2))

    async def _away(self, server: str, seconds: float) -> None:
        self.told.append(f"{server} away for {seconds:.1f} s")
        control = self.house.control(server)
        await off_loop(control.stop)
        await asyncio.sleep(seconds)
        await off_loop(control.start)

    def drop_an_answer_of(self, platform: str) -> Callable[[], Awaitable[None]]:
        """The next write to the platform is done, and nobody hears of it."""

        async def drop() -> None:
            self.told.append(f"drop an answer of {platform}")
            await off_loop(self.sandboxes[platform].control.fault, "drop", writes=True)

        return drop

    async def move_a_clock(self) -> None:
        """A worker is asked to go, and one whose clock is wrong takes its place."""
        leaving = await self._somebody()
        # Further back, the simulator's certificate would not be valid yet.
        seconds = self.random.choice((-self.random.randrange(600, 3000), self.random.randrange(600, 72_000)))
        self.told.append(f"{leaving.process.pid} goes; another comes with its clock {seconds:+d} s")
        self.crew.more = ClockMover.environment(seconds)
        try:
            await off_loop(self.crew.start)
        finally:
            self.crew.more = {}
        with suppress(subprocess.TimeoutExpired):
            await off_loop(leaving.end)


def rows(stack: TestStack, query: str, *values: Any) -> list[Any]:
    """Straight from the tables, past row-level security."""
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        return link.execute(query, values).fetchall()
