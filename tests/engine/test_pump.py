"""The pump against a real queue: runs that are claimed and walked by nobody, and runs that come back quickly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from app.core.ids import new_id
from app.data.routing import Database
from app.engine.runtime.dispatch import Claim, Dispatch, Taken
from app.engine.runtime.pump import Pump
from app.services import runs
from tests.engine.kit import NO_POLICY, chain, make_tenant, off_loop, wait_until
from tests.servers import TestStack


class _Walk:
    """A walk that takes its time, and gives the run back before it is over."""

    leads_on = True

    def __init__(self, dispatch: Dispatch, claim: Claim, begun: list[Claim]) -> None:
        self.dispatch, self.claim = dispatch, claim
        self.nudges = 0
        begun.append(claim)

    def nudge(self) -> None:
        self.nudges += 1

    def stop(self) -> None: ...

    async def go(self) -> None:
        await self.dispatch.release(self.claim, retry_after_s=0)
        await asyncio.sleep(1.5)


@pytest.fixture
async def dispatch(web: TestStack) -> AsyncIterator[Dispatch]:
    database = Database(web.dsn("worker"))
    found = Dispatch(database.links(), new_id())
    await found.register("pump-under-test", 60)
    yield found
    with psycopg.connect(web.dsn("worker"), autocommit=True) as link:
        link.execute("SELECT doors.drop_worker(%s)", (found.worker_id,))
    await database.dispose()


async def ready_run() -> None:
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(chain("Ready", {"id": "n", "type": "flow.noop"}))
    await runs.start(tenant.engineer, workflow=flow.id, mode="apply")


async def test_a_run_that_was_claimed_and_is_walked_by_nobody_is_given_back(web: TestStack, dispatch: Dispatch) -> None:
    """As if the answer to the claim had been lost with its connection."""
    await ready_run()
    (lost, *_) = await dispatch.claim(50)
    begun: list[Claim] = []
    pump = Pump(dispatch, lambda found: _Walk(dispatch, found.claim, begun))
    task = asyncio.create_task(pump.run())
    known = [lost.claim.run_id]
    await off_loop(wait_until, lambda: [found.run_id for found in begun if found.run_id in known], 10, "the stray")
    pump.stop()
    await task
    await pump.drain(3)


async def test_a_run_claimed_again_while_its_last_walk_ends_is_still_known(web: TestStack, dispatch: Dispatch) -> None:
    await ready_run()
    begun: list[Claim] = []
    walks: dict[int, _Walk] = {}

    def begin(found: Taken) -> _Walk:
        walks[len(walks)] = walk = _Walk(dispatch, found.claim, begun)
        return walk

    pump = Pump(dispatch, begin)
    task = asyncio.create_task(pump.run())
    again = lambda: len(begun) > len({claim.run_id for claim in begun})  # noqa: E731
    await off_loop(wait_until, again, 10, "the run to be claimed again")
    await asyncio.sleep(1.0)
    assert pump.walking >= 1, "the end of the first walk does not make the second one forgotten"
    pump.stop()
    await task
    await pump.drain(3)
