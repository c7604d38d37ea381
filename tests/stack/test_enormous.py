"""Enormous input through the gateway: refused early, with what is wrong and where, and nothing is kept of it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import psycopg
import pytest

from app.services import auth
from tests.servers import TestStack
from tests.stack.people import World, sign_in

pytestmark = pytest.mark.usefixtures("calm")
Json = dict[str, Any]


@pytest.fixture
async def headers(web: TestStack, world: World) -> dict[str, str]:
    signed = await sign_in(web.superuser_dsn, world.staff["engineer"])
    made = await auth.create_token(await auth.resolve_session(signed.token), name="enormous")
    return {"Authorization": f"Bearer {made.token}"}


def chain(count: int, **more: Any) -> Json:
    nodes = [{"id": f"n{number}", "type": "flow.noop"} for number in range(count)]
    edges = [{"source": f"n{number}", "target": f"n{number + 1}"} for number in range(count - 1)]
    return {"schema": "opsloom/workflow@1", "name": "Enormous", "nodes": nodes, "edges": edges, **more}


def problems(answer: httpx.Response) -> set[str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return {answer.json()["code"], *(each["code"] for each in answer.json().get("errors", ()))}


def kept(web: TestStack, world: World) -> int:
    with psycopg.connect(web.superuser_dsn) as link:
        row = link.execute(
            "SELECT (SELECT count(*) FROM workflows WHERE client_id = %(c)s)"
            " + (SELECT count(*) FROM runs WHERE client_id = %(c)s)",
            {"c": world.one.id},
        ).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_body_of_ten_megabytes_is_refused(web: TestStack, world: World, http, headers) -> None:
    before = kept(web, world)
    body = json.dumps(chain(2, description="x" * 10_000_000)).encode()
    for path in ("workflows", "workflows/validate", "workflows/import", "runs"):
        answer = await http.post(
            f"/api/v1/clients/{world.one.slug}/{path}",
            content=body,
            headers={**headers, "Content-Type": "application/json"},
        )
        assert (answer.status_code, problems(answer)) == (413, {"too_large"})
    assert kept(web, world) == before


async def test_more_steps_than_a_workflow_has_are_counted_out(web: TestStack, world: World, http, headers) -> None:
    before = kept(web, world)
    answer = await http.post(
        f"/api/v1/clients/{world.one.slug}/workflows/import", json={"document": chain(10_001)}, headers=headers
    )
    assert answer.status_code == 422
    assert "too_many_nodes" in problems(answer)
    assert kept(web, world) == before


async def test_ten_thousand_steps_are_a_workflow(world: World, http, headers) -> None:
    path = f"/api/v1/clients/{world.one.slug}/workflows/validate"
    answer = await http.post(path, json={"document": chain(10_000)}, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text[:500]
    assert not [each for each in answer.json().get("problems", ()) if each.get("severity", "error") == "error"]


@pytest.mark.parametrize(
    "expression",
    [
        "[1,2,3,4,5,6,7,8,9].map(a, [1,2,3,4,5,6,7,8,9].map(b, [1,2,3,4,5,6,7,8,9].map(c, "
        "[1,2,3,4,5,6,7,8,9].map(d, [1,2,3,4,5,6,7,8,9].map(e, [1,2,3,4,5,6,7,8,9].map(f, [1,2,3,4,5,6,7,8,9].map("
        "g, a + b + c + d + e + f + g)))))))",
        "(" * 5000 + "1" + ")" * 5000,
        "1 + " * 20_000 + "1",
    ],
    ids=["loops in loops", "brackets", "long"],
)
async def test_an_expression_that_would_run_long_is_refused_on_its_step(
    world: World, http, headers, expression: str
) -> None:
    node = {"id": "think", "type": "flow.transform", "params": {"values": {"x": "{{ " + expression + " }}"}}}
    document = {"schema": "opsloom/workflow@1", "name": "Long thought", "nodes": [node], "edges": []}
    answer = await http.post(
        f"/api/v1/clients/{world.one.slug}/workflows/validate", json={"document": document}, headers=headers
    )
    found = [each for each in answer.json().get("problems", answer.json().get("errors", ())) if each.get("node")]
    assert [each["node"] for each in found] == ["think"], answer.text[:500]


@pytest.mark.parametrize(
    "body", [b"[" * 100_000 + b"]" * 100_000, b'{"document": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001]
)
async def test_a_body_that_is_nested_without_end_is_refused(world: World, http, headers, body: bytes) -> None:
    answer = await http.post(
        f"/api/v1/clients/{world.one.slug}/workflows/validate",
        content=body,
        headers={**headers, "Content-Type": "application/json"},
    )
    assert 400 <= answer.status_code < 500
    assert problems(answer)
