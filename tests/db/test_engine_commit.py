"""The engine's write: fenced, leased, inside one client, and no wake-up lost."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from app.core.ids import new_id
from app.data.commits import RunLost, wake_run
from app.data.doors import Claim, due_timers, reap_dead_workers, release_run
from app.data.routing import Database
from app.data.session import tenant_session
from tests.db.conftest import Connect
from tests.db.world import Company, Connection, Worker, runs, value


async def events(superuser: Connection, claim: Claim) -> list[int]:
    cursor = await superuser.execute("SELECT seq FROM step_events WHERE run_id = %s ORDER BY seq", [claim.run_id])
    return [row[0] for row in await cursor.fetchall()]


async def queue(superuser: Connection, claim: Claim) -> tuple[object, ...] | None:
    cursor = await superuser.execute(
        "SELECT worker_id, ready_at IS NOT NULL, ready_at <= now(), wakeups FROM run_queue WHERE run_id = %s",
        [claim.run_id],
    )
    return await cursor.fetchone()


@pytest.fixture
async def claim(superuser: Connection, first: Company, worker: Worker) -> Claim:
    await runs(superuser, first)
    return next(claim for claim in await worker.claim(100) if claim.client_id == first.client_id)


async def test_events_and_patches_in_one_statement(superuser: Connection, worker: Worker, claim: Claim) -> None:
    woken = await worker.commit(
        claim,
        [1, 2],
        run_patch={"state": "running", "started": True, "summary": {"create": 1}, "extra": {"a": 1}, "seal": "s"},
    )
    assert woken == 0
    assert await events(superuser, claim) == [1, 2]
    await worker.commit(claim, run_patch={"reason": {"code": "x"}, "extra": {"b": 2}})
    await worker.commit(
        claim, [3], run_patch={"state": "succeeded", "reason": None, "finished": True}, queue_patch={"done": True}
    )
    cursor = await superuser.execute(
        "SELECT state, reason, seal, summary, extra, started_at IS NOT NULL, finished_at >= started_at"
        " FROM runs WHERE id = %s",
        [claim.run_id],
    )
    expected = ("succeeded", None, "s", {"create": 1}, {"a": 1, "b": 2}, True, True)
    assert await cursor.fetchone() == expected
    assert await queue(superuser, claim) is None


@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"fence": -1}, "an older fence"), ({"run_id": new_id()}, "no such run"), ({"client_id": new_id()}, "no client")],
)
async def test_nothing_is_written_with(
    wrong: dict[str, object], why: str, superuser: Connection, worker: Worker, claim: Claim
) -> None:
    false = Claim(**{**vars(claim), **wrong})  # type: ignore[arg-type]
    with pytest.raises(RunLost):
        await worker.commit(false, [1], run_patch={"state": "failed"}, queue_patch={"done": True})
    assert await events(superuser, claim) == []
    assert await value(superuser, "SELECT state FROM runs WHERE id = %s", claim.run_id) == "queued"
    assert await queue(superuser, claim) is not None


async def test_another_worker_cannot_write(connect: Connect, claim: Claim) -> None:
    other = await Worker(await connect("worker")).register()
    with pytest.raises(RunLost):
        await other.commit(claim, [1])


async def test_another_clients_run_cannot_be_written(
    superuser: Connection, second: Company, worker: Worker, claim: Claim
) -> None:
    """A worker that mixes up two claims: the row is not there for the client it names."""
    [theirs] = await runs(superuser, second)
    await worker.claim(100)
    with pytest.raises(RunLost):
        await worker.commit(Claim(claim.client_id, theirs, claim.fence, 0), [1])


async def test_a_worker_whose_lease_has_ended_cannot_write(superuser: Connection, worker: Worker, claim: Claim) -> None:
    await worker.commit(claim, [1])
    await superuser.execute(
        "UPDATE worker_leases SET expires_at = now() - interval '1 s' WHERE worker_id = %s", [worker.id]
    )
    with pytest.raises(RunLost):
        await worker.commit(claim, [2])
    assert await events(superuser, claim) == [1]


async def test_after_a_takeover_the_former_worker_is_refused(
    superuser: Connection, connect: Connect, worker: Worker, claim: Claim
) -> None:
    await superuser.execute("UPDATE worker_leases SET expires_at = now() WHERE worker_id = %s", [worker.id])
    assert (await reap_dead_workers(worker.connection)).runs >= 1
    other = await Worker(await connect("worker")).register()
    again = next(found for found in await other.claim(100) if found.run_id == claim.run_id)
    assert again.fence > claim.fence
    await other.commit(again, [1])
    with pytest.raises(RunLost):
        await worker.commit(claim, [2])


async def test_a_number_is_taken_once(worker: Worker, claim: Claim) -> None:
    await worker.commit(claim, [1])
    with pytest.raises(psycopg.errors.UniqueViolation):
        await worker.commit(claim, [1])


async def test_no_other_worker_takes_the_run_while_it_is_written(
    connect: Connect, worker: Worker, claim: Claim
) -> None:
    """The check and the write are one: a takeover in between waits, or passes the run by."""
    async with worker.connection.transaction():
        await worker.commit(claim, [1])
        rival = await connect("superuser")
        await rival.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await rival.execute("UPDATE run_queue SET fence = fence + 1 WHERE run_id = %s", [claim.run_id])


async def test_branches_of_a_run_commit_side_by_side(connect: Connect, worker: Worker, claim: Claim) -> None:
    other = Worker(await connect("worker"), worker.id)
    async with worker.connection.transaction():
        await worker.commit(claim, [1])
        await asyncio.wait_for(other.commit(claim, [2]), timeout=5)


async def test_a_release_idles_the_run_until_it_is_woken(
    superuser: Connection, web: Database, worker: Worker, claim: Claim
) -> None:
    await worker.commit(claim, queue_patch={"release": True, "wakeups": claim.wakeups})
    assert await queue(superuser, claim) == (None, False, None, 0)
    assert claim.run_id not in [found.run_id for found in await worker.claim(100)]
    async with tenant_session(claim.client_id, on=web) as session:
        assert await wake_run(session, claim.client_id, claim.run_id) == 1
    [again] = [found for found in await worker.claim(100) if found.run_id == claim.run_id]
    assert again.wakeups == 1


async def test_a_wake_during_the_walk_is_not_lost(
    superuser: Connection, web: Database, worker: Worker, claim: Claim
) -> None:
    async with tenant_session(claim.client_id, on=web) as session:
        await wake_run(session, claim.client_id, claim.run_id)
    assert await worker.commit(claim, [1]) == 1, "the walker sees that something happened"
    await worker.commit(claim, queue_patch={"release": True, "wakeups": claim.wakeups})
    assert await queue(superuser, claim) == (None, True, True, 1)
    [again] = [found for found in await worker.claim(100) if found.run_id == claim.run_id]
    # Seen now: the next release may idle it.
    await worker.commit(again, queue_patch={"release": True, "wakeups": again.wakeups})
    assert await queue(superuser, claim) == (None, False, None, 1)


async def test_a_wake_during_the_walk_survives_a_release_without_a_commit(
    superuser: Connection, web: Database, worker: Worker, claim: Claim
) -> None:
    async with tenant_session(claim.client_id, on=web) as session:
        await wake_run(session, claim.client_id, claim.run_id)
    assert await release_run(worker.connection, claim, worker.id)
    assert await queue(superuser, claim) == (None, True, True, 1)
    assert not await release_run(worker.connection, claim, worker.id)


async def test_a_timer(superuser: Connection, worker: Worker, claim: Claim) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await worker.commit(claim, queue_patch={"release": True, "wakeups": 0, "ready_at": later})
    assert await worker.claim(100) == []
    timers = await due_timers(worker.connection)
    assert timers.promoted == 0
    assert timers.next_at is not None
    await superuser.execute("UPDATE run_queue SET ready_at = now() WHERE run_id = %s", [claim.run_id])
    [again] = await worker.claim(100)
    await worker.commit(again, queue_patch={"release": True, "wakeups": 0, "delay_s": 0.05})
    assert await worker.claim(100) == []
    await asyncio.sleep(0.1)
    assert [found.run_id for found in await worker.claim(100)] == [claim.run_id]


async def test_a_wake_beats_a_timer(web: Database, worker: Worker, claim: Claim) -> None:
    await worker.commit(claim, queue_patch={"release": True, "wakeups": 0, "delay_s": 3600})
    async with tenant_session(claim.client_id, on=web) as session:
        await wake_run(session, claim.client_id, claim.run_id)
    assert claim.run_id in [found.run_id for found in await worker.claim(100)]


async def test_a_wake_for_later_does_not_delay_what_is_due(
    superuser: Connection, web: Database, first: Company, worker: Worker
) -> None:
    [run] = await runs(superuser, first)
    async with tenant_session(first.client_id, on=web) as session:
        await wake_run(session, first.client_id, run, ready_at=datetime.now(UTC) + timedelta(hours=1))
    assert run in [found.run_id for found in await worker.claim(100)]


async def test_only_the_worker_may_call_it(connect: Connect, worker: Worker, claim: Claim) -> None:
    for role in ("web", "scheduler"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await Worker(await connect(role), worker.id).commit(claim, [1])


@pytest.mark.parametrize("role", ["web", "worker"])
@pytest.mark.parametrize("statement", ["UPDATE step_events SET node = 'x'", "DELETE FROM step_events"])
async def test_history_cannot_be_changed(
    statement: str, role: str, connect: Connect, worker: Worker, claim: Claim
) -> None:
    await worker.commit(claim, [1])
    connection = await connect(role)
    async with connection.transaction(force_rollback=True):
        await connection.execute("SELECT set_config('app.current_tenant', %s, true)", [str(claim.client_id)])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement)  # type: ignore[arg-type]
