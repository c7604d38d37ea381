"""A client's limits hold over all workers and leak nothing; one client's load does not hold up the others."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from app.data import doors
from tests.db.conftest import Connect
from tests.db.world import Company, Connection, Worker, company, runs, value


@pytest.fixture(autouse=True)
async def empty_queue(superuser: Connection) -> None:
    await superuser.execute("DELETE FROM run_queue")


async def limit(superuser: Connection, of: Company, **limits: int) -> None:
    await superuser.execute("INSERT INTO client_limits (client_id) VALUES (%s) ON CONFLICT DO NOTHING", [of.client_id])
    for name, number in limits.items():
        await superuser.execute(
            f"UPDATE client_limits SET {name} = %s WHERE client_id = %s",  # type: ignore[arg-type]
            (number, of.client_id),
        )


async def workers(connect: Connect, count: int) -> list[Worker]:
    return [await Worker(await connect("worker")).register() for _ in range(count)]


def jain(shares: list[float]) -> float:
    """Jain's index of fairness: 1 where all have the same, 1/n where one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


async def test_no_more_runs_than_the_limit_are_walked_at_once_by_all_workers(
    superuser: Connection, connect: Connect, first: Company
) -> None:
    await runs(superuser, first, 60)
    await limit(superuser, first, max_running=5)
    several = await workers(connect, 4)
    for _ in range(3):
        await asyncio.gather(*(each.claim(8) for each in several))
        held = await value(superuser, "SELECT count(*) FROM run_queue WHERE worker_id IS NOT NULL")
        assert held == 5


async def test_a_place_is_free_again_however_its_run_was_left(
    superuser: Connection, connect: Connect, worker: Worker, first: Company
) -> None:
    """Done, given back to wait, given back by the door, its worker ended, its worker found dead: nothing leaks."""
    await runs(superuser, first, 30)
    await limit(superuser, first, max_running=2)
    one, two = await worker.claim()
    assert await worker.claim() == []
    await worker.commit(one, queue_patch={"done": True})
    await worker.commit(two, queue_patch={"release": True, "wakeups": two.wakeups})
    three, four = await worker.claim()
    assert await doors.release_run(worker.connection, three, worker.id)
    assert len(await worker.claim()) == 1
    await doors.drop_worker(worker.connection, worker.id)
    short = await Worker(await connect("worker")).register(ttl_s=0.2)
    assert len(await short.claim()) == 2
    await asyncio.sleep(0.25)
    other = await Worker(await connect("worker")).register()
    assert await other.claim() == []
    await doors.reap_dead_workers(other.connection)
    assert len(await other.claim()) == 2
    assert four.run_id != one.run_id


async def test_a_client_at_its_limit_holds_nobody_up(
    superuser: Connection, worker: Worker, first: Company, second: Company
) -> None:
    await runs(superuser, first, 5000)
    await limit(superuser, first, max_running=3)
    assert Counter(claim.client_id for claim in await worker.claim(10)) == {first.client_id: 3}
    await runs(superuser, second, 1)
    assert [claim.client_id for claim in await worker.claim(10)] == [second.client_id]


async def test_kept_places_go_to_clients_that_nobody_works_for(
    superuser: Connection, connect: Connect, first: Company, second: Company
) -> None:
    """A client's 5,000 long runs fill all but the kept places of each worker; another's one is taken at once."""
    await runs(superuser, first, 5000)
    several = await workers(connect, 2)
    taken = [await each.claim(8, spare=2) for each in several]
    assert [len(claims) for claims in taken] == [6, 6]
    assert await several[0].claim(2, spare=2) == []
    await runs(superuser, second, 4)
    assert [claim.client_id for claim in await several[0].claim(2, spare=2)] == [second.client_id]
    assert await several[1].claim(2, spare=2) == [], "the second client has its place; others may come"


async def test_a_lone_client_in_kept_places_gets_one(superuser: Connection, worker: Worker, first: Company) -> None:
    await runs(superuser, first, 9)
    assert len(await worker.claim(4, spare=4)) == 1
    assert len(await worker.claim(4, spare=4)) == 0


async def test_all_clients_are_served_alike_while_they_have_something_to_do(
    superuser: Connection, connect: Connect
) -> None:
    """Half of all runs are one client's. As long as everybody has some left, everybody gets the same share."""
    heavy, *light = [await company(superuser) for _ in range(25)]
    await runs(superuser, heavy, 480)
    for one in light:
        await runs(superuser, one, 20)
    several = await workers(connect, 3)
    served: Counter[UUID] = Counter()
    while max(served[one.client_id] for one in light) < 20:
        for each in several:
            for claim in await each.claim(16, spare=4):
                served[claim.client_id] += 1
                await each.commit(claim, queue_patch={"done": True})
    assert jain([served[one.client_id] for one in (heavy, *light)]) >= 0.99


async def wake(worker: Worker, of: Company, run: UUID, urgency: int | None = None) -> None:
    async with worker.connection.transaction():
        await worker.connection.execute("SELECT set_config('app.current_tenant', %s, true)", [str(of.client_id)])
        await worker.connection.execute("SELECT wake_run(%s, %s, NULL, %s::smallint)", (of.client_id, run, urgency))


async def times(superuser: Connection, ids: list[UUID]) -> list[datetime]:
    cursor = await superuser.execute("SELECT ready_at FROM run_queue WHERE run_id = ANY (%s) ORDER BY ready_at", [ids])
    return [row[0] for row in await cursor.fetchall()]


async def test_a_start_rate_spaces_the_beginnings(superuser: Connection, worker: Worker, first: Company) -> None:
    await limit(superuser, first, starts_per_minute=6)
    ids = await runs(superuser, first, 4, queued=False)
    for run in ids:
        await wake(worker, first, run)
    assert [claim.run_id for claim in await worker.claim()] == [ids[0]], "the first begins at once"
    waiting = await times(superuser, ids[1:])
    gaps = [later - earlier for earlier, later in pairwise(waiting)]
    assert gaps == [timedelta(seconds=10)] * 2
    [urgent] = await runs(superuser, first, queued=False)
    await wake(worker, first, urgent, urgency=5)
    assert [claim.run_id for claim in await worker.claim()] == [urgent], "what is urgent does not wait"
    await wake(worker, first, ids[3])
    assert [claim.run_id for claim in await worker.claim()] == [ids[3]], "what was asked of it is seen at once"


async def test_another_start_rate_gives_new_places(superuser: Connection, worker: Worker, first: Company) -> None:
    await limit(superuser, first, starts_per_minute=1)
    ids = await runs(superuser, first, 5, queued=False)
    for run in ids:
        await wake(worker, first, run)
    await worker.claim()
    await limit(superuser, first, starts_per_minute=60)
    async with worker.connection.transaction():
        await worker.connection.execute("SELECT set_config('app.current_tenant', %s, true)", [str(first.client_id)])
        cursor = await worker.connection.execute("SELECT opsloom_pace_again(%s)", [first.client_id])
        assert await cursor.fetchone() == (4,)
    found = await times(superuser, ids[1:])
    assert found[-1] - found[0] == timedelta(seconds=3)
    assert [claim.run_id for claim in await worker.claim()] == [ids[1]]
