"""Writes of several runs in one commit: each in its own client, each for itself where it cannot be made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from app.core.context import Context, system_actor
from app.data.commits import Write, Written, engine_commit, engine_commit_many, wake_run
from app.data.doors import Claim
from app.data.repositories import audit
from app.data.routing import Database
from app.data.session import tenant_session
from app.engine.core.events import StepIntended
from app.engine.runtime.dispatch import FenceLost, Woken
from app.engine.runtime.store import Store, Told
from tests.db.conftest import Connect
from tests.db.world import Company, Connection, Worker, runs, value
from tests.servers import TestStack


@pytest.fixture
async def claims(superuser: Connection, first: Company, second: Company, worker: Worker) -> list[Claim]:
    """A run of each of two clients."""
    await runs(superuser, first)
    await runs(superuser, second)
    found = {claim.client_id: claim for claim in await worker.claim(100)}
    return [found[first.client_id], found[second.client_id]]


@pytest.fixture
async def store(own: TestStack, worker: Worker) -> AsyncIterator[Store]:
    database = Database(own.dsn("worker"))
    yield Store(database.links(), worker.id)
    await database.dispose()


def told(claim: Claim, action: str = "tried") -> audit.Entry:
    return audit.entry(Context(claim.client_id, "", system_actor("worker"), "system"), action=action)


def write(claim: Claim, seq: int = 1, **more: Any) -> Write:
    events = [{"seq": seq, "node": "n", "kind": "intent", "attempt": 1, "payload": {"of": str(claim.run_id)}}]
    return Write(claim, events, **{"told": [told(claim).row()], **more})


async def kept(superuser: Connection, claim: Claim) -> tuple[int, int]:
    """How many events the run has, and its client's audit chain."""
    events = await value(superuser, "SELECT count(*) FROM step_events WHERE run_id = %s", claim.run_id)
    chain = await value(superuser, "SELECT count(*) FROM audit_events WHERE client_id = %s", claim.client_id)
    return int(str(events)), int(str(chain))


async def test_each_write_is_its_own_clients(superuser: Connection, worker: Worker, claims: list[Claim]) -> None:
    done = {"run_patch": {"state": "succeeded", "finished": True}, "queue_patch": {"done": True, "wakeups": 0}}
    writes = [write(claims[1], **done), write(claims[0]), write(claims[0], 2, told=())]
    found = await engine_commit_many(worker.connection, worker.id, writes)
    assert found == [Written(0, 1), Written(0, 1), Written(0, 1)]
    assert [await kept(superuser, claim) for claim in claims] == [(2, 1), (1, 1)]
    for claim in claims:
        of = "SELECT DISTINCT client_id FROM step_events WHERE payload ->> 'of' = %s"
        assert await value(superuser, of, str(claim.run_id)) == claim.client_id
    assert await value(superuser, "SELECT state FROM runs WHERE id = %s", claims[1].run_id) == "succeeded"
    assert await value(superuser, "SELECT count(*) FROM run_queue WHERE run_id = %s", claims[1].run_id) == 0


async def test_what_is_lost_or_mixed_up_is_not_written_and_the_rest_is(
    superuser: Connection, worker: Worker, claims: list[Claim]
) -> None:
    mine, other = claims
    false = [Claim(mine.client_id, mine.run_id, -1, 0), Claim(mine.client_id, other.run_id, other.fence, 0)]
    found = await engine_commit_many(worker.connection, worker.id, [write(each) for each in (*false, other)])
    assert found == [None, None, Written(0, 1)]
    assert [await kept(superuser, claim) for claim in claims] == [(0, 0), (1, 1)]


async def test_nothing_is_written_without_a_lease(superuser: Connection, worker: Worker, claims: list[Claim]) -> None:
    await superuser.execute("UPDATE worker_leases SET expires_at = now() WHERE worker_id = %s", [worker.id])
    ends = {"run_patch": {"state": "succeeded", "finished": True}, "queue_patch": {"done": True, "wakeups": 0}}
    writes = [write(claims[0], **ends), write(claims[1]), write(claims[1], 2, queue_patch={"release": True})]
    assert await engine_commit_many(worker.connection, worker.id, writes) == [None, None, None]
    assert [await kept(superuser, claim) for claim in claims] == [(0, 0), (0, 0)]
    assert await value(superuser, "SELECT state FROM runs WHERE id = %s", claims[0].run_id) == "queued"
    held = "SELECT count(*) FROM run_queue WHERE worker_id = %s"
    assert await value(superuser, held, worker.id) == 2


async def test_a_run_that_somebody_has_locked_holds_up_no_other(
    superuser: Connection, connect: Connect, worker: Worker, claims: list[Claim]
) -> None:
    busy, free = claims
    rival = await connect("superuser")
    async with rival.transaction():
        await rival.execute("UPDATE run_queue SET wakeups = wakeups + 1 WHERE run_id = %s", [busy.run_id])
        found = await engine_commit_many(worker.connection, worker.id, [write(busy), write(free)])
    assert found == [None, Written(0, 1)]
    assert await kept(superuser, busy) == (0, 0)


async def test_what_was_woken_does_not_end_and_tells_nothing(
    superuser: Connection, web: Database, store: Store, claims: list[Claim]
) -> None:
    woken = claims[0]
    async with tenant_session(woken.client_id) as session:
        await wake_run(session, woken.client_id, woken.run_id)
    ends = [store.parameters(claim, (), {"state": "succeeded"}, {"done": True, "wakeups": 0}) for claim in claims]
    work = [store.commit_with(claim, end, [Told(told(claim))]) for claim, end in zip(claims, ends, strict=True)]
    answers = await asyncio.gather(*work, return_exceptions=True)
    assert isinstance(answers[0], Woken)
    assert answers[1] == 0
    assert await value(superuser, "SELECT state FROM runs WHERE id = %s", woken.run_id) == "queued"
    assert [await kept(superuser, claim) for claim in claims] == [(0, 0), (0, 1)]


async def test_a_write_that_the_database_refuses_takes_no_other_with_it(
    superuser: Connection, store: Store, claims: list[Claim]
) -> None:
    wrong, right = claims
    first = (1, StepIntended("a", attempt=1))
    await store.commit(wrong, [first])
    lost = Claim(right.client_id, right.run_id, -1, 0)
    asked = [store.commit(claim, [first]) for claim in (wrong, right, lost)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers[0], psycopg.errors.UniqueViolation)
    assert answers[1] == 0
    assert isinstance(answers[2], FenceLost)


async def test_a_text_that_the_database_does_not_take_keeps_nothing_from_being_written(
    superuser: Connection, store: Store, claims: list[Claim]
) -> None:
    odd, plain = claims
    params = {"half a letter": "a\ud800", "nothing": "b\0", "its\0name": r"\u0000"}
    events = [StepIntended("a", attempt=1, params=params), StepIntended("a", attempt=1, params={"b": "c"})]
    for seq in (1, 2):  # together, and alone
        asked = [store.commit(odd, [(seq, events[0])]), *([store.commit(plain, [(1, events[1])])] if seq == 1 else [])]
        assert await asyncio.gather(*asked) == [0] * len(asked)
        query = "SELECT payload -> 'params' FROM step_events WHERE run_id = %s AND seq = %s"
        found = await value(superuser, query, odd.run_id, seq)
        assert found == {"half a letter": "a\ufffd", "nothing": "b\ufffd", "its\ufffdname": r"\u0000"}


async def test_a_chain_is_told_of_everything_in_the_order_of_the_writes(
    superuser: Connection, first: Company, worker: Worker
) -> None:
    await runs(superuser, first, 3)
    claims = [claim for claim in await worker.claim(100) if claim.client_id == first.client_id]
    writes = [Write(claim, told=[told(claim, f"act{n}").row()]) for n, claim in enumerate(claims)]
    assert await engine_commit_many(worker.connection, worker.id, writes) == [Written(0, 3)] * 3
    cursor = await superuser.execute(
        "SELECT seq, action FROM audit_events WHERE client_id = %s ORDER BY seq", [first.client_id]
    )
    assert await cursor.fetchall() == [(1, "act0"), (2, "act1"), (3, "act2")]


async def test_a_run_with_a_concurrency_key_ends_by_itself(
    superuser: Connection, worker: Worker, claims: list[Claim]
) -> None:
    """Its end wakes the next one of its key, in an order of locks that a commit of several cannot keep."""
    keyed, other = claims
    await superuser.execute("UPDATE run_queue SET slot = 'k' WHERE run_id = %s", [keyed.run_id])
    ends = [write(claim, queue_patch={"done": True, "wakeups": 0}) for claim in claims]
    assert await engine_commit_many(worker.connection, worker.id, ends) == [None, Written(0, 1)]
    assert (await kept(superuser, keyed), await kept(superuser, other)) == ((0, 0), (1, 1))
    assert await engine_commit(worker.connection, worker.id, ends[0]) == Written(0, 1)
    assert await value(superuser, "SELECT count(*) FROM run_queue WHERE run_id = %s", keyed.run_id) == 0


async def test_what_a_concurrency_key_holds_up_is_not_what_goes_on(
    superuser: Connection, worker: Worker, claims: list[Claim]
) -> None:
    """Only an end wakes another one: a run that has its key's slot writes and rests in company."""
    await superuser.execute("UPDATE run_queue SET slot = 'k', slot_held = true WHERE run_id = %s", [claims[0].run_id])
    rests = [write(claims[0], queue_patch={"release": True, "wakeups": 0}), write(claims[1])]
    assert await engine_commit_many(worker.connection, worker.id, rests) == [Written(0, 1), Written(0, 1)]


async def test_only_the_worker_may_call_it(connect: Connect, worker: Worker, claims: list[Claim]) -> None:
    for role in ("web", "scheduler"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await engine_commit_many(await connect(role), worker.id, [write(claim) for claim in claims])


async def test_runs_are_loaded_together_each_in_its_own_client(
    superuser: Connection, worker: Worker, store: Store, claims: list[Claim]
) -> None:
    """The documents here are empty, which no worker can parse: what is looked at is what the database gave."""
    crossed = Claim(claims[0].client_id, claims[1].run_id, 0, 0)
    raw = await store._load([claims[1], crossed, claims[0]])
    assert [each and each["run"]["id"] for each in raw] == [str(claims[1].run_id), None, str(claims[0].run_id)]
    await worker.commit(claims[0], [1, 2], run_patch={"started": True})
    [begun] = await store._load([claims[0]])
    assert begun is not None
    assert len(begun["events"]) == 2


async def test_a_load_says_whether_the_client_has_a_limit(
    superuser: Connection, store: Store, claims: list[Claim]
) -> None:
    await superuser.execute("INSERT INTO client_limits (client_id, max_running) VALUES (%s, 3)", [claims[0].client_id])
    raw = await store._load(claims)
    assert [each and each["client"]["limited"] for each in raw] == [True, False]
