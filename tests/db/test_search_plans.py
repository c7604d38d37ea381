"""Searches reach their indexes under row-level security, which lets only leakproof operators through."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from app.core.clock import utcnow
from app.core.ids import new_id
from app.services import run_search, targets
from tests.db.conftest import Connect
from tests.db.world import Company, Connection

_MANY = 20_000
_FILL = (
    "INSERT INTO workflows (client_id, id, name) VALUES (%(client)s, %(workflow)s, 'W')",
    """
    INSERT INTO runs (client_id, id, workflow_id, document_hash, mode, label, inputs, state, finished_at)
    SELECT %(client)s, u.id, %(workflow)s, 'h', 'apply', 'Person ' || u.n,
           jsonb_build_object('email', 'p' || u.n || '@contoso.com'),
           CASE WHEN u.n %% 100 = 0 THEN 'failed' ELSE 'succeeded' END, now()
      FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS u (id, n)""",
    """
    INSERT INTO step_events (client_id, run_id, seq, node, kind, payload)
    SELECT r.client_id, r.id, 1, 'n', 'succeeded',
           jsonb_build_object('change', jsonb_build_object('kind', 'update', 'target',
                                                           'm365.user:' || (r.inputs ->> 'email')))
      FROM runs r WHERE r.client_id = %(client)s""",
)


@pytest.fixture(scope="module")
async def crowd() -> Company:
    return Company()


async def fill(superuser: Connection, of: Company) -> None:
    """Many ended runs of one client, with a step each; done once for a module."""
    have = await (await superuser.execute("SELECT count(*) FROM runs WHERE client_id = %s", [of.client_id])).fetchone()
    if have == (_MANY,):
        return
    await superuser.execute("INSERT INTO clients (client_id, slug, name) VALUES (%s, %s, 'C')", (of.client_id, of.slug))
    values = {"client": of.client_id, "workflow": of.workflow_id, "ids": [new_id() for _ in range(_MANY)]}
    for statement in _FILL:
        await superuser.execute(statement, values)
    await superuser.execute("ANALYZE")


async def plan(connection: Connection, of: Company, statement: str, **values: object) -> str:
    """The plan as the web process gets it, as text."""
    named = statement
    for name in ("client", *values):
        named = named.replace(f":{name}", f"%({name})s")
    async with connection.transaction():
        await connection.execute("SELECT set_config('app.current_tenant', %s, true)", [str(of.client_id)])
        cursor = await connection.execute(f"EXPLAIN (FORMAT JSON) {named}", {"client": of.client_id, **values})  # type: ignore[arg-type]
        row = await cursor.fetchone()
    assert row is not None
    return json.dumps(row[0])


def scans(found: str, table: str) -> set[str]:
    """How ``table`` (or its partitions) is read."""
    kinds: set[str] = set()

    def walk(node: dict[str, Any]) -> None:
        if str(node.get("Relation Name", "")).startswith(table):
            kinds.add(node["Node Type"] + (" by a condition" if "Index Cond" in node else ""))
        for child in node.get("Plans", ()):
            walk(child)

    walk(json.loads(found)[0]["Plan"])
    return kinds


_BY_INDEX = {"Index Scan by a condition", "Index Only Scan by a condition", "Bitmap Heap Scan"}


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (run_search._SPELLINGS, {"low": "p77", "high": "p77" + chr(0x10FFFF), "most": 51}),
        (run_search._OF_EACH, {"words": ["p77", "contoso"], "before": new_id(), "bite": 500}),
        (run_search._OF_RANGE, {"low": "p77", "high": "p77" + chr(0x10FFFF), "before": new_id(), "bite": 500}),
    ],
)
async def test_words_are_read_by_their_index(
    superuser: Connection, connect: Connect, crowd: Company, statement: str, values: dict[str, object]
) -> None:
    await fill(superuser, crowd)
    found = scans(await plan(await connect("web"), crowd, statement, **values), "run_words")
    assert found
    assert found <= _BY_INDEX


async def test_the_history_of_a_target_is_read_by_its_index(
    superuser: Connection, connect: Connect, crowd: Company
) -> None:
    await fill(superuser, crowd)
    statement = targets.OF_TARGET
    values = {"targets": ["m365.user:p77@contoso.com"], "at": utcnow(), "run": new_id(), "seq": 0, "most": 50}
    # The month that holds them; of an empty one the planner reads nothing in whatever way.
    found = scans(await plan(await connect("web"), crowd, statement, **values), f"step_events_{utcnow():%Y_%m}")
    assert found
    assert found <= _BY_INDEX


async def test_failed_runs_are_read_by_their_index(superuser: Connection, connect: Connect, crowd: Company) -> None:
    await fill(superuser, crowd)
    statement = "SELECT id FROM runs WHERE client_id = :client AND outcome = 'failed' ORDER BY id DESC LIMIT 50"
    found = await plan(await connect("web"), crowd, statement)
    assert "runs_outcome" in found
    assert "Sort" not in found


async def test_runs_of_a_time_are_read_by_their_ids(superuser: Connection, connect: Connect, crowd: Company) -> None:
    """Their order is that of time, so that no index over when they were made is needed."""
    await fill(superuser, crowd)
    wanted = run_search.Wanted(crowd.client_id, since=utcnow() - timedelta(hours=1), until=utcnow())
    [made, young, _, old] = run_search.conditions(wanted)
    statement = (
        "SELECT id FROM runs WHERE client_id = :client AND parent IS NULL AND created_at >= :since AND id >= :young"
        " AND id < :old ORDER BY id DESC LIMIT 50"
    )
    values = {"since": made.right.value, "young": young.right.value, "old": old.right.value}
    found = await plan(await connect("web"), crowd, statement, **values)
    assert scans(found, "runs") == {"Index Scan by a condition"}
    assert "Sort" not in found


async def test_the_run_of_a_key_is_read_by_its_index(superuser: Connection, connect: Connect, crowd: Company) -> None:
    await fill(superuser, crowd)
    statement = "SELECT id FROM runs WHERE client_id = :client AND idempotency_key = :key"
    assert "runs_idempotency_key" in await plan(await connect("web"), crowd, statement, key="k")
