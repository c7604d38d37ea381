"""One idempotency key is one start: repeated, at the same moment, for something else; over HTTP and by the command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import httpx
import psycopg
import pytest

from app.core.errors import Stale
from app.core.ids import new_id
from app.services import auth, runs, workflows
from tests.servers import TestStack
from tests.stack.people import World, sign_in

pytestmark = pytest.mark.usefixtures("calm")
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string", "default": "b"}}}


@pytest.fixture
async def token(web: TestStack, world: World) -> str:
    signed = await sign_in(web.superuser_dsn, world.boss)
    return (await auth.create_token(await auth.resolve_session(signed.token), name="keys")).token


@pytest.fixture
async def flow(world: World) -> str:
    document = {
        "schema": "opsloom/workflow@1", "name": f"Keyed {new_id()}", "inputs": SCHEMA,
        "nodes": [{"id": "a", "type": "flow.noop"}],
    }  # fmt: skip
    return (await workflows.import_document(await world.context("owner"), document=document)).name


async def post(http: httpx.AsyncClient, world: World, token: str, body: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await http.post(f"/api/v1/clients/{world.one.slug}/runs", json=body, headers=headers)


@pytest.mark.parametrize("more", [{"inputs": {"a": "1"}}, {"rows": [{"a": "1"}, {"a": "2"}]}])
async def test_starts_at_the_same_moment_are_one(http, world: World, token: str, flow: str, more: Any) -> None:
    body = {"workflow": flow, "idempotency_key": f"k-{new_id()}", **more}
    answers = await asyncio.gather(*(post(http, world, token, body) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    assert len({answer.json()["id"] for answer in answers}) == 1
    again = await post(http, world, token, body)
    assert again.json()["id"] == answers[0].json()["id"]


@pytest.mark.parametrize(
    "other",
    [
        {"inputs": {"a": "2"}},
        {"inputs": {}},
        {"mode": "apply"},
        {"inputs": {}, "rows": [{"a": "1"}]},
        {"version": 1},
        {"only_node": "a"},
        {"priority": "low"},
    ],
    ids=str,
)
async def test_the_key_of_another_start_is_refused(http, world: World, token: str, flow: str, other: Any) -> None:
    body = {"workflow": flow, "idempotency_key": f"k-{new_id()}", "inputs": {"a": "1"}}
    first = await post(http, world, token, body)
    refused = await post(http, world, token, {**body, **other})
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_other")
    assert refused.json()["params"]["run"] == first.json()["id"]


@pytest.mark.parametrize("rows", [[{"a": "1"}], [{"a": "1"}, {"a": "3"}]], ids=["fewer", "others"])
async def test_the_key_of_another_table_is_refused(http, world: World, token: str, flow: str, rows: Any) -> None:
    body = {"workflow": flow, "idempotency_key": f"k-{new_id()}", "rows": [{"a": "1"}, {"a": "2"}]}
    first = await post(http, world, token, body)
    assert first.status_code == 201
    refused = await post(http, world, token, {**body, "rows": rows})
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_other")


async def test_another_plan_is_another_start(web: TestStack, world: World, flow: str) -> None:
    owner, key = await world.context("owner"), f"k-{new_id()}"
    made = [await runs.start(owner, workflow=flow, inputs={"a": "1"}) for _ in range(2)]
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute("UPDATE runs SET state = 'succeeded', finished_at = now() WHERE id = ANY(%s)", (made,))
    first, other = made
    started = await runs.start(owner, workflow=flow, mode="apply", plan=first, idempotency_key=key)
    assert await runs.start(owner, workflow=flow, mode="apply", plan=first, idempotency_key=key) == started
    with pytest.raises(Stale) as refused:
        await runs.start(owner, workflow=flow, mode="apply", plan=other, idempotency_key=key)
    assert refused.value.code == "idempotency_other"


async def test_a_run_of_before_digests_is_compared_by_what_it_is_about(web: TestStack, world: World, flow: str) -> None:
    owner, key = await world.context("owner"), f"k-{new_id()}"
    first = await runs.start(owner, workflow=flow, inputs={"a": "1"}, idempotency_key=key)
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute("UPDATE runs SET extra = extra - 'asked' WHERE id = %s", (first,))
    assert await runs.start(owner, workflow=flow, inputs={}, idempotency_key=key) == first
    with pytest.raises(Stale):
        await runs.start(owner, workflow=flow, inputs={"a": "2"}, idempotency_key=key)


async def test_the_command_line_knows_the_key(web: TestStack, world: World, token: str, flow: str) -> None:
    def start(value: str) -> subprocess.CompletedProcess[str]:
        words = ["workflow", "run", flow, "--client", world.one.slug, "--input", f"a={value}", "--wait", "0"]
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *words, "--idempotency-key", f"cli-{flow}", "--json"],
            env={**os.environ, **web.environment(), "OPSLOOM_TOKEN": token}, capture_output=True, text=True,
        )  # fmt: skip

    first, again, other = [await asyncio.to_thread(start, value) for value in ("1", "1", "2")]
    assert json.loads(first.stdout)["id"] == json.loads(again.stdout)["id"]
    assert (other.returncode, json.loads(other.stdout)["code"]) == (1, "idempotency_other")
