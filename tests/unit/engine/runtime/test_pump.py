"""When the pump looks for more: not after every walk, and always where something may have been left."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from uuid import uuid4

import pytest

from app.engine.runtime import pump as module
from app.engine.runtime.dispatch import Claim, Dispatch, Taken
from app.engine.runtime.pump import Pump


class Queue:
    """Gives out what is ready, as the database does."""

    def __init__(self, ready: int) -> None:
        self.ready = ready
        self.looks = 0

    async def claim(self, limit: int, spare: int = 0) -> list[Taken]:
        self.looks += 1
        taken = min(limit, self.ready)
        self.ready -= taken
        return [Taken(Claim(uuid4(), uuid4(), 1, 0)) for _ in range(taken)]

    async def wakeups(self) -> list[Any]:
        return []


class Walk:
    def __init__(self, *, leads_on: bool) -> None:
        self.leads_on = leads_on

    def nudge(self) -> None: ...

    def stop(self) -> None: ...

    async def go(self) -> None:
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL_S", 3600)


async def looks(queue: Queue, *, leads_on: bool) -> int:
    """How often the pump looked until nothing more happened."""
    pump = Pump(cast(Dispatch, queue), lambda found: Walk(leads_on=leads_on), capacity=64)
    task = asyncio.create_task(pump.run())
    for _ in range(400):
        await asyncio.sleep(0)
    pump.stop()
    await task
    return queue.looks


async def test_after_the_last_run_it_does_not_look_again() -> None:
    assert await looks(Queue(1), leads_on=False) == 1


async def test_where_a_walk_leads_on_it_does() -> None:
    assert await looks(Queue(1), leads_on=True) == 2


async def test_what_it_had_no_place_for_is_taken_when_there_is_one() -> None:
    queue = Queue(200)
    await looks(queue, leads_on=False)
    assert queue.ready == 0


async def test_what_was_claimed_while_we_were_told_to_stop_is_told_so_too() -> None:
    stopped: list[str] = []
    coming, told = asyncio.Event(), asyncio.Event()

    class Slow(Queue):
        async def claim(self, limit: int, spare: int = 0) -> list[Taken]:
            coming.set()
            await told.wait()
            return await super().claim(limit, spare)

    class Told(Walk):
        def stop(self) -> None:
            stopped.append("stopped")

    pump = Pump(cast(Dispatch, Slow(ready=1)), lambda found: Told(leads_on=False), capacity=64)
    task = asyncio.create_task(pump.run())
    await coming.wait()
    pump.stop()
    await asyncio.sleep(0)
    told.set()
    await task
    assert stopped == ["stopped"]
