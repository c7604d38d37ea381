"""Concurrency keys: as many runs as the key allows, in the order of starts, and a slot is free when its run is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from app.data.doors import Claim
from tests.db.conftest import Connect
from tests.db.world import Company, Connection, Worker, company, runs, value

Take = Callable[..., Awaitable[tuple[bool, list[UUID]]]]


@pytest.fixture(autouse=True)
async def empty_queue(superuser: Connection) -> None:
    await superuser.execute("DELETE FROM run_queue")


async def _take(connection: Connection, one: Company, run: UUID, key: str, most: int) -> tuple[bool, list[UUID]]:
    async with connection.transaction():
        await connection.execute("SELECT set_config('app.current_tenant', %s, true)", [str(one.client_id)])
        cursor = await connection.execute("SELECT * FROM take_slot(%s, %s, %s, %s)", [one.client_id, run, key, most])
        row = await cursor.fetchone()
        assert row is not None
        return row[0], row[1] or []


@pytest.fixture
async def take(connect: Connect) -> Take:
    connection = await connect("worker")

    async def found(one: Company, run: UUID, key: str = "anna", most: int = 1) -> tuple[bool, list[UUID]]:
        return await _take(connection, one, run, key, most)

    return found


async def _claims(worker: Worker) -> dict[UUID, Claim]:
    return {claim.run_id: claim for claim in await worker.claim(100)}


async def test_one_at_a_time_in_the_order_of_starts(
    superuser: Connection, first: Company, worker: Worker, take: Take
) -> None:
    one, two, three = await runs(superuser, first, 3)
    claims = await _claims(worker)
    assert await take(first, one) == (True, [])
    assert await take(first, one) == (True, []), "asking again changes nothing"
    assert await take(first, three) == (False, [one])
    assert await take(first, two) == (False, [one])
    for run in (two, three):
        await worker.commit(claims[run], queue_patch={"release": True, "wakeups": 0})
    await worker.commit(claims[one], run_patch={"state": "succeeded"}, queue_patch={"done": True})
    assert set(await _claims(worker)) == {two}, "the oldest is woken, and no other"
    assert await take(first, three) == (False, [two]), "nobody passes the one that waits longer"
    assert await take(first, two) == (True, [])


async def test_other_keys_and_other_clients_are_not_in_the_way(superuser: Connection, take: Take) -> None:
    mine, theirs = await company(superuser), await company(superuser)
    one, two = await runs(superuser, mine, 2)
    [other] = await runs(superuser, theirs)
    assert await take(mine, one) == (True, [])
    assert await take(mine, two, "ben") == (True, [])
    assert await take(theirs, other) == (True, [])


async def test_two_at_a_time(superuser: Connection, first: Company, take: Take) -> None:
    one, two, three = await runs(superuser, first, 3)
    assert [(await take(first, run, most=2))[0] for run in (one, two, three)] == [True, True, False]


async def test_a_waiting_run_that_ends_makes_way(
    superuser: Connection, first: Company, worker: Worker, take: Take
) -> None:
    one, two, three = await runs(superuser, first, 3)
    claims = await _claims(worker)
    for run in (one, two, three):
        await take(first, run)
    await worker.commit(claims[three], queue_patch={"release": True, "wakeups": 0})
    await worker.commit(claims[two], run_patch={"state": "cancelled"}, queue_patch={"done": True})
    assert await take(first, three) == (False, [one])
    await worker.commit(claims[one], run_patch={"state": "failed"}, queue_patch={"done": True})
    assert await take(first, three) == (True, [])


async def test_a_run_that_no_longer_waits_lets_the_next_one_look(
    superuser: Connection, first: Company, worker: Worker, take: Take, connect: Connect
) -> None:
    one, two, three = await runs(superuser, first, 3)
    claims = await _claims(worker)
    for run in (one, two, three):
        await take(first, run)
    for run in (two, three):
        await worker.commit(claims[run], queue_patch={"release": True, "wakeups": 0})
    connection = await connect("worker")
    async with connection.transaction():
        await connection.execute("SELECT set_config('app.current_tenant', %s, true)", [str(first.client_id)])
        await connection.execute("SELECT leave_slot(%s, %s, 'anna')", [first.client_id, two])
    await worker.commit(claims[one], queue_patch={"done": True})
    assert set(await _claims(worker)) == {three}
    assert await take(first, three) == (True, [])


async def test_no_slot_is_given_twice_or_lost_however_many_take_and_end_at_once(
    superuser: Connection, first: Company, connect: Connect, worker: Worker
) -> None:
    """Twenty runs of one key on five connections: never two at a time, and in the end every one has had it."""
    waiting = await runs(superuser, first, 20)
    claims = await _claims(worker)
    connections = [await connect("worker") for _ in range(5)]
    workers = [Worker(connection, worker.id) for connection in connections]
    inside: list[UUID] = []
    done: set[UUID] = set()

    async def work(own: Worker, run: UUID) -> None:
        while True:
            held, _ = await _take(own.connection, first, run, "anna", 1)
            if held:
                break
            await asyncio.sleep(0.005)
        inside.append(run)
        assert inside == [run], "two at a time"
        await asyncio.sleep(0)
        inside.remove(run)
        done.add(run)
        await own.commit(claims[run], run_patch={"state": "succeeded"}, queue_patch={"done": True})

    async def worker_of(place: int) -> None:
        # Each connection ends its runs one by one, oldest first, as the order of starts demands.
        for run in waiting[place::5]:
            await work(workers[place], run)

    await asyncio.wait_for(asyncio.gather(*map(worker_of, range(5))), 60)
    assert done == set(waiting)
    assert await value(superuser, "SELECT count(*) FROM run_queue WHERE slot IS NOT NULL") == 0


async def test_a_run_is_not_over_while_something_was_asked_of_it(
    superuser: Connection, first: Company, worker: Worker
) -> None:
    [run] = await runs(superuser, first)
    claim = (await _claims(worker))[run]
    async with superuser.transaction():
        await superuser.execute("SELECT wake_run(%s, %s)", [first.client_id, run])
    patch = {"state": "succeeded", "finished": True}
    seen = {"done": True, "wakeups": claim.wakeups}
    assert await worker.commit(claim, [1], run_patch=patch, queue_patch=seen) == -2
    assert await value(superuser, "SELECT state FROM runs WHERE id = %s", run) == "queued"
    assert await value(superuser, "SELECT count(*) FROM step_events WHERE run_id = %s", run) == 0
    assert await worker.commit(claim, [1], run_patch=patch, queue_patch={"done": True, "wakeups": 1}) == 1
    assert await value(superuser, "SELECT state FROM runs WHERE id = %s", run) == "succeeded"
