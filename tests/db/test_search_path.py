"""Functions without a search path of their own do the same whatever the caller's is."""

from __future__ import annotations

import hashlib

import psycopg
import pytest

from app.core.context import Context, system_actor
from app.data.commits import Write, Written, engine_commit_many
from app.data.repositories import audit
from tests.db.conftest import Connect
from tests.db.world import Company, Connection, Worker, runs, value

_TRAP = "RAISE EXCEPTION 'called'"
_FUNCTIONS = {
    "sha256": "bytea",
    "convert_to": "text, text",
    "encode": "bytea, text",
    "decode": "text, text",
    "repeat": "text, integer",
    "jsonb_array_length": "jsonb",
    "set_config": "text, text, boolean",
    "clock_timestamp": "",
    "to_jsonb": "anyelement",
    "to_json": "anyelement",
    "json_build_object": "VARIADIC text[]",
    "array_to_json": "anyarray",
    "array_append": "anyarray, anyelement",
    "array_agg": "anyelement",
    "array_fill": "anyelement, integer[]",
    "cardinality": "anyarray",
    "unnest": "anyarray",
    "bool_or": "boolean",
    "jsonb_build_object": "VARIADIC text[]",
    "lease_valid": "uuid",
    "opsloom_words": "text, jsonb, jsonb",
}
_TABLES = ("audit_heads", "audit_events", "runs", "run_queue", "run_plans", "step_events", "run_words")
_TABLES += ("workflow_versions", "connections", "clients", "client_limits")


@pytest.fixture
async def trapped(superuser: Connection, connect: Connect) -> Connection:
    """The worker's login, with a schema in front whose functions raise and whose tables are of another kind."""
    await superuser.execute("DROP SCHEMA IF EXISTS trap CASCADE")
    await superuser.execute("CREATE SCHEMA trap")
    await superuser.execute("GRANT USAGE ON SCHEMA trap TO PUBLIC")
    for name, takes in _FUNCTIONS.items():
        body = f"CREATE FUNCTION trap.{name}({takes}) RETURNS text LANGUAGE plpgsql AS $$ BEGIN {_TRAP}; END $$"
        # psycopg's types want literal text; what is put in stands in this file.
        await superuser.execute(body)  # type: ignore[arg-type]
    for name in _TABLES:
        # As above: the name stands in this file.
        await superuser.execute(f"CREATE TABLE trap.{name} (nothing integer)")  # type: ignore[arg-type]
    worker = await connect("worker")
    await worker.execute("SET search_path = trap, public")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        await worker.execute("SELECT client_id FROM runs")
    return worker


async def test_the_engine_reads_and_writes_where_it_should(
    superuser: Connection, first: Company, trapped: Connection
) -> None:
    worker = await Worker(trapped).register()
    [run] = await runs(superuser, first)
    await superuser.execute("UPDATE runs SET label = 'Anna' WHERE id = %s", [run])
    [claim] = [claim for claim in await worker.claim(100) if claim.run_id == run]
    load = "SELECT public.opsloom_engine_load(%s, ARRAY[%s]) #>> '{runs,0,run,id}'"
    loaded = await value(trapped, load, first.client_id, run)
    assert loaded == str(run)
    await worker.commit(
        claim, [1], run_patch={"state": "succeeded", "finished": True}, queue_patch={"done": True, "wakeups": 0}
    )
    assert await value(superuser, "SELECT count(*) FROM public.step_events WHERE run_id = %s", run) == 1
    assert await value(superuser, "SELECT word FROM public.run_words WHERE run_id = %s", run) == "anna"


async def test_so_does_what_is_written_together(superuser: Connection, first: Company, trapped: Connection) -> None:
    worker = await Worker(trapped).register()
    ids = await runs(superuser, first, 2)
    claims = [claim for claim in await worker.claim(100) if claim.run_id in ids]
    patch = {"state": "succeeded", "finished": True, "plan": {}, "seal": "s", "plan_at": "2026-11-30T08:00:00Z"}
    event = {"seq": 1, "node": "n", "kind": "intent"}
    writes = [Write(claim, [event], patch, {"done": True, "wakeups": 0}) for claim in claims]
    assert await engine_commit_many(trapped, worker.id, writes) == [Written(0, None)] * 2
    for kept in ("step_events", "run_plans"):
        count = f"SELECT count(*) FROM public.{kept} WHERE run_id = ANY (%s)"
        assert await value(superuser, count, ids) == 2


async def test_the_chain_is_hashed_as_it_should(superuser: Connection, first: Company, trapped: Connection) -> None:
    entry = audit.entry(Context(first.client_id, "", system_actor("worker"), "system"), action="tried")
    async with trapped.transaction():
        await trapped.execute("SELECT pg_catalog.set_config('app.current_tenant', %s, true)", [str(first.client_id)])
        await trapped.execute("SELECT public.audit_append(%s, %s)", (first.client_id, audit.rows_of([entry])))
    told = f'{entry.row()["head"]}1{entry.row()["tail"]}{"00" * 32}"}}'
    found = await value(superuser, "SELECT hash FROM public.audit_events WHERE client_id = %s", first.client_id)
    assert found == hashlib.sha256(told.encode()).digest()
