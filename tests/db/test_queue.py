"""Claims are fair between clients and belong to one worker; leases end; timers and leadership."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import psycopg
import pytest

from app.core.ids import new_id
from app.data import doors
from tests.db.conftest import Connect
from tests.db.world import Company, Connection, Worker, company, runs, value


@pytest.fixture(autouse=True)
async def empty_queue(superuser: Connection) -> None:
    await superuser.execute("DELETE FROM run_queue")


async def companies(superuser: Connection, count: int) -> list[Company]:
    return [await company(superuser) for _ in range(count)]


async def test_a_large_client_does_not_hold_up_the_small_ones(superuser: Connection, worker: Worker) -> None:
    large, *small = await companies(superuser, 9)
    await runs(superuser, large, 500)
    for one in small:
        await runs(superuser, one, 2)
    taken = Counter(claim.client_id for claim in await worker.claim(18))
    assert taken == {large.client_id: 2, **dict.fromkeys((one.client_id for one in small), 2)}


async def test_a_client_alone_gets_the_whole_claim(superuser: Connection, worker: Worker) -> None:
    [alone] = await companies(superuser, 1)
    ids = await runs(superuser, alone, 50)
    claims = await worker.claim(40)
    assert len(claims) == 40
    assert len({claim.run_id for claim in claims} & set(ids)) == 40
    assert len(await worker.claim(40)) == 10
    assert await worker.claim(40) == []


async def test_a_worker_without_a_free_place_takes_nothing(
    superuser: Connection, worker: Worker, first: Company
) -> None:
    await runs(superuser, first)
    assert await worker.claim(0) == []


async def test_the_ring_goes_on_where_it_stopped(superuser: Connection, worker: Worker) -> None:
    many = await companies(superuser, 10)
    for one in many:
        await runs(superuser, one, 3)
    turns = [[claim.client_id for claim in await worker.claim(4)] for _ in range(5)]
    order = sorted((one.client_id for one in many), key=lambda client: client.bytes)
    flat = [client for turn in turns for client in turn]
    assert flat == (order * 2)[: len(flat)]


async def test_every_light_client_is_served_within_one_round(superuser: Connection, worker: Worker) -> None:
    """Half of all runs belong to one client: it still takes one place in a round."""
    heavy, *light = await companies(superuser, 31)
    await runs(superuser, heavy, 300)
    for one in light:
        await runs(superuser, one, 1)
    served: set[UUID] = set()
    for _ in range(4):
        served |= {claim.client_id for claim in await worker.claim(8)}
    assert served >= {one.client_id for one in light}


async def test_the_same_client_takes_the_urgent_and_then_the_oldest_first(
    superuser: Connection, worker: Worker, first: Company
) -> None:
    old, new, urgent = await runs(superuser, first, 3)
    await superuser.execute("UPDATE run_queue SET ready_at = now() - interval '1 min' WHERE run_id = %s", [old])
    await superuser.execute("UPDATE run_queue SET priority = 5 WHERE run_id = %s", [urgent])
    assert [(await worker.claim(1))[0].run_id for _ in range(3)] == [urgent, old, new]


async def test_no_run_is_claimed_twice(superuser: Connection, connect: Connect) -> None:
    for one in await companies(superuser, 5):
        await runs(superuser, one, 40)
    workers = [await Worker(await connect("worker")).register() for _ in range(4)]

    async def drain(worker: Worker) -> list[doors.Claim]:
        found: list[doors.Claim] = []
        while claims := await worker.claim(7):
            found += claims
        return found

    taken = [claim for claims in await asyncio.gather(*map(drain, workers)) for claim in claims]
    assert len(taken) == len({claim.run_id for claim in taken}) == 200
    assert len({claim.fence for claim in taken}) == 200


async def test_a_locked_run_is_passed_by(superuser: Connection, connect: Connect, worker: Worker) -> None:
    [one] = await companies(superuser, 1)
    locked, free = await runs(superuser, one, 2)
    rival = await connect("superuser")
    async with rival.transaction():
        await rival.execute("SELECT FROM run_queue WHERE run_id = %s FOR UPDATE", [locked])
        assert [claim.run_id for claim in await asyncio.wait_for(worker.claim(5), 5)] == [free]


async def test_a_claim_costs_what_it_takes_and_not_the_backlog(superuser: Connection, worker: Worker) -> None:
    """Index probes only: the plan reads no more rows with a large backlog and many waiting timers."""
    [one] = await companies(superuser, 1)
    await runs(superuser, one, 5000)
    await superuser.execute("ANALYZE run_queue")
    before = await value(superuser, "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'run_queue'")
    await worker.claim(10)
    await asyncio.sleep(1.1)  # statistics of the other connection arrive with a delay
    await worker.connection.execute("SELECT 1")
    after = await value(superuser, "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'run_queue'")
    assert after == before


async def test_without_a_lease_nothing_is_claimed(superuser: Connection, connect: Connect, first: Company) -> None:
    await runs(superuser, first)
    with pytest.raises(psycopg.Error) as refused:
        await Worker(await connect("worker")).claim()
    assert refused.value.sqlstate == doors.NO_LEASE


async def test_what_a_dead_worker_held_is_claimed_again(
    superuser: Connection, connect: Connect, worker: Worker, first: Company
) -> None:
    ids = await runs(superuser, first, 3)
    dead = await Worker(await connect("worker")).register(ttl_s=0.2)
    before = {claim.run_id: claim.fence for claim in await dead.claim()}
    assert set(before) == set(ids)
    assert await doors.reap_dead_workers(worker.connection) == doors.Reaped(0, 0)
    await asyncio.sleep(0.25)
    reaped = await doors.reap_dead_workers(worker.connection)
    assert (reaped.workers, reaped.runs) == (1, 3)
    after = {claim.run_id: claim.fence for claim in await worker.claim()}
    assert all(after[run] > before[run] for run in ids)
    assert not await doors.renew_worker(dead.connection, dead.id, 60), "a dead worker must begin anew"


async def test_a_lease_is_renewed_and_dropped(superuser: Connection, worker: Worker, first: Company) -> None:
    await runs(superuser, first, 2)
    assert await doors.renew_worker(worker.connection, worker.id, 60)
    await worker.claim()
    assert await doors.drop_worker(worker.connection, worker.id) == 2
    assert not await doors.renew_worker(worker.connection, worker.id, 60)


@pytest.mark.parametrize("end", ["in order", "in silence"])
async def test_what_is_taken_from_a_worker_is_first_in_its_clients_queue(
    superuser: Connection, connect: Connect, worker: Worker, first: Company, end: str
) -> None:
    """It had its turn: whatever was started while it was walked comes after it."""
    ids = await runs(superuser, first, 6)
    gone = await Worker(await connect("worker")).register(ttl_s=0.2)
    held = {claim.run_id for claim in await gone.claim(2)}
    assert len(held) == 2
    if end == "in order":
        assert await doors.drop_worker(gone.connection, gone.id) == 2
    else:
        await asyncio.sleep(0.25)
        assert (await doors.reap_dead_workers(worker.connection)).runs == 2
    assert {claim.run_id for claim in await worker.claim(2)} == held
    # Once: it may be what its workers die of.
    assert await doors.drop_worker(worker.connection, worker.id) == 2
    last = await Worker(await connect("worker")).register(ttl_s=60)
    assert {claim.run_id for claim in await last.claim(4)} == set(ids) - held
    assert {claim.run_id for claim in await last.claim(9)} == held


async def test_runs_of_a_worker_without_any_lease_are_found(
    superuser: Connection, worker: Worker, first: Company
) -> None:
    [run] = await runs(superuser, first)
    await superuser.execute(
        "UPDATE run_queue SET worker_id = %s, due = false, ready_at = NULL WHERE run_id = %s", [new_id(), run]
    )
    assert (await doors.reap_dead_workers(worker.connection)).runs == 1
    assert [claim.run_id for claim in await worker.claim()] == [run]


async def test_reaping_waits_for_nobody_and_comes_back_for_what_it_passed_by(
    superuser: Connection, connect: Connect, worker: Worker, first: Company
) -> None:
    locked, free = await runs(superuser, first, 2)
    await Worker(await connect("worker")).register(ttl_s=0.2)
    dead = await Worker(await connect("worker")).register(ttl_s=0.2)
    await dead.claim()
    await asyncio.sleep(0.25)
    rival = await connect("superuser")
    async with rival.transaction():
        await rival.execute("SELECT FROM run_queue WHERE run_id = %s FOR UPDATE", [locked])
        reaped = await asyncio.wait_for(doors.reap_dead_workers(worker.connection), 5)
        assert (reaped.workers, reaped.runs) == (2, 1)
        assert [claim.run_id for claim in await worker.claim()] == [free]
    assert await doors.reap_dead_workers(worker.connection) == doors.Reaped(0, 1)
    assert [claim.run_id for claim in await worker.claim()] == [locked]


async def test_one_leader_at_a_time(connect: Connect) -> None:
    connection = await connect("scheduler")
    one, other = new_id(), new_id()
    first = await doors.take_lead(connection, "clock", one, 0.3)
    assert first is not None
    assert await doors.take_lead(connection, "clock", other, 60) is None
    assert await doors.take_lead(connection, "clock", one, 0.3) == first
    await asyncio.sleep(0.35)
    second = await doors.take_lead(connection, "clock", other, 60)
    assert second is not None
    assert second > first
    assert await doors.take_lead(connection, "clock", one, 60) is None


async def test_metrics(superuser: Connection, connect: Connect, worker: Worker, first: Company) -> None:
    ids = await runs(superuser, first, 4)
    await superuser.execute("UPDATE run_queue SET ready_at = now() - interval '5 s' WHERE run_id = %s", [ids[0]])
    await superuser.execute(
        "UPDATE run_queue SET ready_at = now() + interval '1 h', due = false WHERE run_id = %s", [ids[1]]
    )
    await superuser.execute("UPDATE run_queue SET ready_at = NULL, due = false WHERE run_id = %s", [ids[2]])
    for role in ("web", "worker", "scheduler"):
        found = await doors.metrics(await connect(role))
        assert (found.due, found.timers, found.idle, found.claimed) == (2, 1, 1, 0)
        assert 5 <= found.oldest_due_s < 60
        assert found.workers >= 1
