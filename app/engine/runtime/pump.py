"""The worker's heart: claims ready runs, fairly across clients, and walks many of them at once on one event loop.

It looks when it is poked (a wake-up came, a walk ended) and once a second in any case, so that a lost wake-up costs a
second and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol
from uuid import UUID

import structlog

from app.engine.runtime.dispatch import Claim, Dispatch, FenceLost, LeaseLost, Taken

log = structlog.get_logger(__name__)

_POLL_S = 1.0
_CLAIM_AT_ONCE = 32
# This part of a worker's places is kept for clients that nobody is working for: whoever fills the rest with long runs
# does not hold up somebody else's one.
_KEPT_FREE = 4  # one place in four
_RETRY_AFTER_FAULT_S = 5.0


Key = tuple[UUID, UUID]


class Walk(Protocol):
    """One claimed run being carried as far as it will go. ``leads_on``: its end may let another run be claimed."""

    @property
    def leads_on(self) -> bool: ...

    def nudge(self) -> None: ...

    def stop(self) -> None: ...

    async def go(self) -> None: ...


class Pump:
    """Claims and walks until it is stopped. ``capacity`` bounds the runs that are walked at the same time."""

    def __init__(self, dispatch: Dispatch, begin: Callable[[Taken], Walk], capacity: int = 64) -> None:
        self._dispatch = dispatch
        self._begin = begin
        self._capacity = capacity
        self._poked = asyncio.Event()
        self._stopping = False
        self.lease_lost = False
        self._loop = asyncio.get_running_loop()
        self._walks: dict[Key, tuple[Claim, Walk, asyncio.Task[None]]] = {}
        self._told: dict[Key, int] = {}
        self._strays: set[Key] = set()
        self._more = True  # whether something may have been left that was ready when we claimed last

    @property
    def walking(self) -> int:
        return len(self._walks)

    def poke(self) -> None:
        """Look now. Safe to call from any thread."""
        self._loop.call_soon_threadsafe(self._poked.set)

    async def run(self) -> None:
        """Claim and walk until :meth:`stop`; a database that is away is waited for."""
        watch = asyncio.create_task(self._watch(), name="watch")
        try:
            while not self._stopping:
                await self._survive(self._claim_all)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_S):
                        await self._poked.wait()
                self._poked.clear()
        finally:
            watch.cancel()

    def stop(self) -> None:
        """Claim no more, and let walks end after the steps in hand. Safe to call from any thread."""
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._stopping = True
        self._poked.set()
        for _, walk, _ in self._walks.values():
            walk.stop()

    async def drain(self, patience_s: float) -> bool:
        """Wait for the walks to hand their runs over; cut off after ``patience_s``. Whether all came to their end."""
        tasks = [task for _, _, task in self._walks.values()]
        if not tasks:
            return True
        _, late = await asyncio.wait(tasks, timeout=patience_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return not late

    async def _survive(self, look: Callable[[], Awaitable[None]]) -> None:
        try:
            await look()
        except LeaseLost:
            log.error("pump.lease_lost")
            self.lease_lost = self._stopping = True
        except Exception as error:
            log.warning("pump.database_away", error=type(error).__name__)

    async def _claim_all(self) -> None:
        self._more = True
        while not self._stopping and (free := self._capacity - len(self._walks)) > 0:
            wanted = min(free, _CLAIM_AT_ONCE)
            ordinary = max(0, free - self._capacity // _KEPT_FREE)
            spare = max(0, wanted - ordinary)
            found = await self._dispatch.claim(wanted, spare=spare)
            for taken in found:
                self._start(taken)
            if len(found) < wanted:
                self._more = spare > 0
                return  # that was all there is for us

    def _start(self, taken: Taken) -> None:
        claim, walk = taken.claim, self._begin(taken)
        task = asyncio.create_task(self._walk(claim, walk), name=f"run {claim.run_id}")
        self._walks[(claim.client_id, claim.run_id)] = (claim, walk, task)
        task.add_done_callback(lambda task: self._ended(claim, walk, task))
        if self._stopping:
            walk.stop()  # it was claimed while we were told to stop

    def _ended(self, claim: Claim, walk: Walk, task: asyncio.Task[None]) -> None:
        """Forget the walk, but not a newer one of the same run: it was given back and claimed again meanwhile."""
        key = (claim.client_id, claim.run_id)
        if key in self._walks and self._walks[key][2] is task:
            del self._walks[key]
            self._told.pop(key, None)
        # Where nothing was left, what becomes ready comes with a wake-up of its own.
        if self._more or walk.leads_on:
            self._poked.set()

    async def _walk(self, claim: Claim, walk: Walk) -> None:
        try:
            await walk.go()
        except FenceLost:
            log.warning("run.fence_lost", client_id=str(claim.client_id), run_id=str(claim.run_id))
        except Exception:
            log.exception("run.walk_failed", client_id=str(claim.client_id), run_id=str(claim.run_id))
            with suppress(Exception):
                await self._dispatch.release(claim, retry_after_s=_RETRY_AFTER_FAULT_S)

    async def _watch(self) -> None:
        """Tell a walk when something was asked of its run meanwhile: a cancel, a decision, a wake-up."""
        while True:
            await asyncio.sleep(_POLL_S)
            await self._survive(self._look_at_held)

    async def _look_at_held(self) -> None:
        """Tell walks what they have not been told yet, and give back what is ours and walked by nobody."""
        strays = set()
        for client_id, run_id, wakeups in await self._dispatch.wakeups():
            key = (client_id, run_id)
            if key not in self._walks:
                strays.add(key)
            elif self._told.get(key, self._walks[key][0].wakeups) != wakeups:
                self._told[key] = wakeups
                self._walks[key][1].nudge()
        # Seen twice, so that a claim whose answer is just arriving is not taken for lost.
        for key in strays & self._strays:
            log.warning("pump.stray", client_id=str(key[0]), run_id=str(key[1]))
            await self._dispatch.let_go(*key)
        self._strays = strays
