"""The writes of many runs of one client, made together, leave what they leave one by one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.core.context import Context, system_actor
from app.core.ids import new_id
from app.data.commits import RunLost, Write, Written, engine_commit, engine_commit_many, engine_load
from app.data.doors import Claim
from app.data.repositories import audit
from tests.db.conftest import Connect
from tests.db.world import Company, Connection, Worker, runs, value

Json = dict[str, Any]

_STEPS: list[Json] = [
    {"seq": 1, "node": "a", "kind": "intended", "attempt": 2, "payload": {"params": {"x": 1}}},
    {"seq": 2, "node": "a", "kind": "succeeded", "payload": {"change": {"kind": "create", "target": "m365:user:a"}}},
    {"seq": 3, "node": "", "kind": "finished"},
]
_PLAN: Json = {"plan": {"steps": ["a"]}, "plan_at": "2026-11-30T08:00:00+00:00", "seal": "b" * 64}
_OVER: Json = {"state": "succeeded", "reason": None, "started": True, "finished": True}
_DONE: Json = {"done": True, "wakeups": 0}
# What is written of one run after the other: events, what changes in the run, what becomes of its place in the queue.
_WRITES: dict[str, list[tuple[list[Json], Json | None, Json | None]]] = {
    "intent with its plan": [
        (_STEPS[:1], {"state": "running", "started": True, "summary": {"create": 1}, **_PLAN}, None)
    ],
    "to its end": [(_STEPS[:1], {"state": "running", "started": True}, None), (_STEPS[1:], _OVER, _DONE)],
    "planned anew": [([], _PLAN, None), ([], {**_PLAN, "plan": {"steps": []}, "seal": "c" * 64}, None)],
    "a reason, and none": [([], {"reason": {"code": "x"}}, None), ([], {"state": "waiting", "reason": None}, None)],
    "a reason that stays": [([], {"reason": {"code": "x"}}, None), ([], {"state": "waiting"}, None)],
    "more is kept": [([], {"extra": {"a": 1, "b": 1}}, None), ([], {"extra": {"b": 2}}, None)],
    "open again": [
        ([], {"state": "failed", "finished": True}, None),
        ([], {"state": "queued", "finished": False}, None),
    ],
    "events alone": [(_STEPS[:2], None, None)],
    "nothing": [([], None, None)],
    "over in one": [(_STEPS, {**_OVER, "state": "failed", "reason": {"code": "x", "message": "Anna is away"}}, _DONE)],
    "a look at the place": [(_STEPS[:1], None, {"wakeups": 0})],
}
_LEFT = """
    SELECT to_jsonb(r) - '{id,created_at,started_at,finished_at,plan_of}'::text[],
           r.started_at IS NOT NULL, r.finished_at IS NOT NULL, r.finished_at >= r.started_at,
           (SELECT jsonb_agg(to_jsonb(e) - '{run_id,at}'::text[] ORDER BY e.seq) FROM step_events e
             WHERE e.run_id = r.id),
           (SELECT to_jsonb(p) - 'run_id' FROM run_plans p WHERE p.run_id = r.id),
           (SELECT to_jsonb(q) - '{run_id,fence,claimed_at,ready_at}'::text[] FROM run_queue q WHERE q.run_id = r.id),
           (SELECT array_agg(w.word ORDER BY w.word) FROM run_words w WHERE w.run_id = r.id)
      FROM runs r WHERE r.id = %s
"""
_ROWS_READ = """
    SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)
      FROM pg_stat_xact_user_tables WHERE relname IN ('runs', 'run_queue', 'run_plans')
"""


async def left(superuser: Connection, run_id: UUID) -> tuple[Any, ...] | None:
    """Everything that is kept of a run, but for its id and its times."""
    return await (await superuser.execute(_LEFT, [run_id])).fetchone()


async def claimed(superuser: Connection, worker: Worker, of: Company, count: int) -> list[Claim]:
    ids = await runs(superuser, of, count)
    found = {claim.run_id: claim for claim in await worker.claim(100)}
    return [found[run_id] for run_id in ids]


def told(claim: Claim, number: int) -> list[Json]:
    context = Context(claim.client_id, "", system_actor("worker"), "system")
    return [dict(audit.entry(context, action=f"act_{number}").row())]


async def test_together_as_one_by_one(superuser: Connection, first: Company, worker: Worker) -> None:
    claims = await claimed(superuser, worker, first, 2 * len(_WRITES))
    alone, together = claims[: len(_WRITES)], claims[len(_WRITES) :]
    for turn in range(2):
        asked = [
            [
                Write(claim, *written[turn])
                for claim, written in zip(group, _WRITES.values(), strict=True)
                if written[turn:]
            ]
            for group in (alone, together)
        ]
        answers = [await engine_commit(worker.connection, worker.id, write) for write in asked[0]]
        assert await engine_commit_many(worker.connection, worker.id, asked[1]) == answers
    for name, one, other in zip(_WRITES, alone, together, strict=True):
        assert await left(superuser, other.run_id) == await left(superuser, one.run_id), name
    over = await left(superuser, together[1].run_id)
    assert over is not None
    assert (over[0]["state"], len(over[4]), over[6]) == ("succeeded", 3, None)


async def test_what_cannot_be_written_is_left_out_and_the_rest_is_not(
    superuser: Connection, connect: Connect, first: Company, second: Company, worker: Worker
) -> None:
    names = ("right", "fence", "woken", "keyed", "locked", "foreign", "nowhere", "right too")
    claims = dict(zip(names, await claimed(superuser, worker, first, len(names)), strict=True))
    [others] = await runs(superuser, second)
    await worker.claim()
    claims["fence"] = Claim(first.client_id, claims["fence"].run_id, -1, 0)
    claims["foreign"] = Claim(first.client_id, others, claims["right"].fence, 0)
    claims["nowhere"] = Claim(first.client_id, new_id(), claims["right"].fence, 0)
    await superuser.execute("UPDATE run_queue SET wakeups = 7 WHERE run_id = %s", [claims["woken"].run_id])
    await superuser.execute("UPDATE run_queue SET slot = 'k' WHERE run_id = %s", [claims["keyed"].run_id])
    before = {name: await left(superuser, claim.run_id) for name, claim in claims.items()}
    writes = [Write(claim, _STEPS, _OVER, _DONE, told(claim, n)) for n, claim in enumerate(claims.values())]
    rival = await connect("superuser")
    async with rival.transaction():
        await rival.execute("SELECT FROM run_queue WHERE run_id = %s FOR UPDATE", [claims["locked"].run_id])
        found = await engine_commit_many(worker.connection, worker.id, writes)
    good = Written(0, 2)
    assert found == [good, None, Written(-8, 2), None, None, None, None, good]
    for name, claim in claims.items():
        assert (await left(superuser, claim.run_id) == before[name]) == (not name.startswith("right")), name
    cursor = await superuser.execute(
        "SELECT action FROM audit_events WHERE client_id = %s ORDER BY seq", [first.client_id]
    )
    assert await cursor.fetchall() == [("act_0",), ("act_7",)]
    for name in ("fence", "foreign", "nowhere"):
        with pytest.raises(RunLost):
            await engine_commit(worker.connection, worker.id, Write(claims[name], _STEPS))


async def test_another_clients_runs_are_not_touched(
    superuser: Connection, first: Company, second: Company, worker: Worker
) -> None:
    """In the eyes of one client its own runs are all there is, whoever holds them."""
    mine = await claimed(superuser, worker, first, 2)
    theirs = await claimed(superuser, worker, second, 2)
    mixed = [
        Write(Claim(first.client_id, each.run_id, each.fence, 0), _STEPS, _OVER, _DONE) for each in (*mine, *theirs)
    ]
    assert await engine_commit_many(worker.connection, worker.id, mixed) == [Written(0, None)] * 2 + [None] * 2
    states = "SELECT array_agg(state ORDER BY state) FROM runs WHERE client_id = %s"
    assert await value(superuser, states, first.client_id) == ["succeeded", "succeeded"]
    assert await value(superuser, states, second.client_id) == ["queued", "queued"]


async def test_what_is_given_back_is_so_in_company(superuser: Connection, first: Company, worker: Worker) -> None:
    claims = await claimed(superuser, worker, first, 3)
    rests = [Write(claim, (), {"state": "waiting"}, {"release": True, "wakeups": 0}) for claim in claims[:2]]
    writes = [*rests, Write(claims[2], _STEPS, _OVER, _DONE)]
    assert await engine_commit_many(worker.connection, worker.id, writes) == [Written(0, None)] * 3
    held = "SELECT count(*) FROM run_queue WHERE client_id = %s AND worker_id IS NOT NULL"
    assert await value(superuser, held, first.client_id) == 0
    assert await value(superuser, "SELECT count(*) FROM run_queue WHERE client_id = %s", first.client_id) == 2


async def test_runs_of_one_client_are_loaded_with_one_document(
    superuser: Connection, first: Company, worker: Worker
) -> None:
    """A run with a document of its own has that one, and so has no other."""
    own = '{"document": {"name": "own"}}'
    claims = await claimed(superuser, worker, first, 4)
    await superuser.execute('UPDATE workflow_versions SET document = \'{"name": "stored"}\'')
    await superuser.execute("UPDATE runs SET extra = %s WHERE id = %s", [own, claims[1].run_id])
    gone = Claim(first.client_id, new_id(), 1, 0)
    raw = await engine_load(worker.connection, [*claims, gone])
    assert raw[4] is None
    found = {claim.run_id: each for claim, each in zip(claims, raw, strict=False) if each}
    assert {run_id: each["run"]["id"] for run_id, each in found.items()} == {each: str(each) for each in found}
    names = [found[claim.run_id]["document"]["name"] for claim in claims]
    assert names == ["stored", "own", "stored", "stored"]
    assert [(each["fence"], each["client"]["slug"]) for each in found.values()] == [
        (claim.fence, first.slug) for claim in claims
    ]


async def test_however_many_runs_a_client_has_no_other_is_looked_at(
    superuser: Connection, first: Company, worker: Worker
) -> None:
    """Also where the server keeps the plan that it made for the first few, when there were none."""
    rested = await runs(superuser, first, 4000, queued=False)
    await superuser.execute(
        "INSERT INTO run_queue (client_id, run_id) SELECT %s, unnest(%s::uuid[])", (first.client_id, rested)
    )
    claims = await claimed(superuser, worker, first, 3)
    for seq in range(1, 9):
        writes = [Write(claim, [{**_STEPS[0], "seq": seq}], {"state": "running"}) for claim in claims]
        async with worker.connection.transaction():
            before = await value(worker.connection, _ROWS_READ)
            assert await engine_commit_many(worker.connection, worker.id, writes) == [Written(0, None)] * 3
            assert all(await engine_load(worker.connection, claims))
            read = int(str(await value(worker.connection, _ROWS_READ))) - int(str(before))
        assert read < 100, f"{read} rows were read for three runs, in the {seq}th commit"
