"""The doors of the health page name runs of the clients that are asked about, and of nobody else."""

from __future__ import annotations

import pytest

from app.core.ids import new_id
from app.data import doors, health_doors
from app.data.session import door_session
from tests.db.conftest import Connect
from tests.db.world import Company, Connection, Worker, company, runs

pytestmark = pytest.mark.usefixtures("web")


@pytest.fixture(autouse=True)
async def empty_queue(superuser: Connection) -> None:
    await superuser.execute("DELETE FROM run_queue")
    await superuser.execute("DELETE FROM worker_leases")


async def test_who_holds_a_lease_and_with_which_code(
    superuser: Connection, connect: Connect, first: Company, second: Company
) -> None:
    await runs(superuser, first, 2)
    await runs(superuser, second)
    link = await connect("worker")
    worker, silent, head = Worker(link), Worker(link), new_id()
    await doors.register_worker(link, worker.id, "host-1", "worker", 60, "0.1.0+abc")
    await doors.register_worker(link, silent.id, "host-2", "worker", -1)
    scheduler = await connect("scheduler")
    await doors.register_worker(scheduler, head, "host-3", "scheduler", 60, "0.1.0+abc")
    await doors.take_lead(scheduler, "scheduler", head, 60)
    assert len(await worker.claim()) == 3
    async with door_session() as session:
        found = {one.worker_id: one for one in await health_doors.lease_holders(session)}
    told = [(one.name, one.kind, one.code, one.alive, one.leads, one.holds) for one in found.values()]
    assert told == [
        ("host-1", "worker", "0.1.0+abc", True, False, 3),
        ("host-2", "worker", "", False, False, 0),
        ("host-3", "scheduler", "0.1.0+abc", True, True, 0),
    ]


async def test_a_renewal_is_a_sign_of_life(worker: Worker) -> None:
    async with door_session() as session:
        [before] = await health_doors.lease_holders(session)
        assert await doors.renew_worker(worker.connection, worker.id, 60)
        [after] = await health_doors.lease_holders(session)
    assert after.heard_at > before.heard_at
    assert after.started_at == before.started_at


async def test_runs_of_other_clients_are_not_named(
    superuser: Connection, worker: Worker, first: Company, second: Company
) -> None:
    mine, theirs = await runs(superuser, first, 3), await runs(superuser, second, 2)
    assert len(await worker.claim()) == 5
    async with door_session() as session:
        found = await health_doors.runs_at_hand(session, [first.client_id], 10)
        assert {one.run_id for one in found} == set(mine)
        assert {(one.client_id, one.worker_id) for one in found} == {(first.client_id, worker.id)}
        assert not {one.run_id for one in found} & set(theirs)
        assert len(await health_doors.runs_at_hand(session, [first.client_id], 2)) == 2
        assert await health_doors.runs_at_hand(session, [], 10) == []


async def test_the_queue_of_each_client_and_of_the_others_together(
    superuser: Connection, worker: Worker, first: Company, second: Company
) -> None:
    third = await company(superuser)
    await superuser.execute("INSERT INTO client_limits (client_id, max_running) VALUES (%s, 2)", [first.client_id])
    await runs(superuser, first, 5)
    assert len(await worker.claim()) == 2
    await runs(superuser, second, 2)
    timer, idle = await runs(superuser, third, 2)
    await superuser.execute("UPDATE run_queue SET ready_at = now() + interval '1 h', due = false WHERE run_id = %s",
                            [timer])  # fmt: skip
    await superuser.execute("UPDATE run_queue SET ready_at = NULL, due = false WHERE run_id = %s", [idle])
    async with door_session() as session:
        others, mine = await health_doors.queue_by_client(session, [first.client_id], 10)
        everything = await health_doors.queue_by_client(
            session, [first.client_id, second.client_id, third.client_id, first.client_id], 10
        )
    assert (mine.client_id, mine.waiting, mine.running, mine.max_running) == (first.client_id, 3, 2, 2)
    assert mine.oldest_at is not None
    assert (others.client_id, others.clients, others.max_running) == (None, 2, None)
    assert (others.waiting, others.running, others.timers, others.idle) == (2, 0, 1, 1)
    assert [one.client_id for one in everything] == [first.client_id, second.client_id, third.client_id]
    assert (everything[2].timers, everything[2].idle, everything[2].oldest_at) == (1, 1, None)
