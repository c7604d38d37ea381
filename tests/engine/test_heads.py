"""However many rows of a batch end, it is called once for all that ended meanwhile, and never left uncalled."""

from __future__ import annotations

import asyncio
from uuid import UUID

import psycopg

from app.engine.runtime.heads import Heads
from app.services import runs
from tests.engine.kit import NO_POLICY, chain, make_tenant
from tests.servers import TestStack

NOOP = {"id": "a", "type": "flow.noop"}


class Looks:
    """Counts how often a worker was asked to look; the first of these fail."""

    def __init__(self, failing: int = 0) -> None:
        self.count = 0
        self.well = asyncio.Event()
        self._failing = failing

    async def __call__(self) -> None:
        self.count += 1
        if self.count <= self._failing:
            raise ConnectionError
        self.well.set()


async def queued(times: int = 1) -> tuple[UUID, list[UUID]]:
    """A client with runs in the queue, which nobody walks here."""
    tenant = await make_tenant(NO_POLICY)
    client, flow = tenant.engineer.client_id, await tenant.publish(chain("Queued", NOOP))
    found = [await runs.start(tenant.engineer, workflow=flow.id, mode="plan") for _ in range(times)]
    return client, found


def wakeups(stack: TestStack, run: UUID) -> int:
    with psycopg.connect(stack.superuser_dsn) as link:
        found = link.execute("SELECT wakeups FROM run_queue WHERE run_id = %s", [run]).fetchone()
    assert found
    return int(found[0])


async def test_rows_that_end_together_call_their_batch_once(web: TestStack) -> None:
    client, (head, other) = await queued(2)
    before, looks = [wakeups(web, head), wakeups(web, other)], Looks()
    heads = Heads(looks)
    for _ in range(100):
        heads.row_ended(client, head)
    heads.row_ended(client, other)
    await heads.aclose()
    assert [wakeups(web, head) - before[0], wakeups(web, other) - before[1]] == [1, 1]
    assert looks.count == 1


async def test_a_call_that_failed_is_made_again(web: TestStack) -> None:
    client, (head,) = await queued()
    before, looks = wakeups(web, head), Looks(failing=1)
    heads = Heads(looks)
    heads.row_ended(client, head)
    await asyncio.wait_for(looks.well.wait(), 30)
    await heads.aclose()
    assert wakeups(web, head) - before == 2


async def test_a_worker_that_stops_calls_those_that_are_left(web: TestStack) -> None:
    client, (head, other) = await queued(2)
    before, looks = wakeups(web, other), Looks()
    heads = Heads(looks)
    heads.row_ended(client, head)
    await asyncio.wait_for(looks.well.wait(), 30)
    heads.row_ended(client, other)
    await heads.aclose()
    assert wakeups(web, other) - before == 1
