"""What JSON and addresses can say and the database cannot keep: answered with what is wrong and where."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.ids import new_id
from app.services import auth, triggers, workflows
from tests.servers import TestStack
from tests.stack.people import World, sign_in

pytestmark = pytest.mark.usefixtures("calm")
Json = dict[str, Any]
INPUTS: Json = {"type": "object", "properties": {"word": {"type": "string"}}}
DOCUMENT: Json = {"schema": "opsloom/workflow@1", "inputs": INPUTS, "nodes": [{"id": "a", "type": "flow.noop"}]}
HALF = "a\ud800"
LATE: Json = {"cron": "0 3 * * *"}


@pytest.fixture
async def headers(web: TestStack, world: World) -> dict[str, str]:
    signed = await sign_in(web.superuser_dsn, world.staff["owner"])
    made = await auth.create_token(await auth.resolve_session(signed.token), name="odd")
    return {"Authorization": f"Bearer {made.token}", "Content-Type": "application/json"}


@pytest.fixture
async def flow(web: TestStack, world: World) -> UUID:
    name = f"Odd {new_id().hex[-8:]}"
    return (await workflows.import_document(await world.context("owner"), document={**DOCUMENT, "name": name})).id


def fields_of(answer: httpx.Response, code: str) -> list[str | None]:
    assert answer.status_code == 422, answer.text
    return [each.get("field") for each in answer.json()["errors"] if each["code"] == code]


@pytest.mark.parametrize(
    "query",
    [
        "search=a%00b",
        "state=%00",
        "mode=%00",
        "kind=%00",
        "state=queued&state=%00",
    ],
)
async def test_a_query_with_nul_is_refused_and_named(world: World, http, headers, query: str) -> None:
    name = query.partition("=")[0]
    for path in (f"/api/v1/clients/{world.one.slug}/runs", "/api/v1/runs"):
        answer = await http.get(f"{path}?{query}", headers=headers)
        assert fields_of(answer, "not_storable") == [name]


async def test_a_path_with_nul_is_no_path(world: World, http, headers) -> None:
    for path in (f"/api/v1/clients/{world.one.slug}/workflows/%00", "/api/v1/clients/%00/runs", "/api/v1/hooks/%00"):
        assert (await http.get(path, headers=headers)).status_code == 404


@pytest.mark.parametrize("search", ["", "&search=odd"])
@pytest.mark.parametrize(
    "time",
    [
        "since=0001-01-01T00:00:00Z",
        "since=0001-01-01T00:00:00%2B14:00",
        "since=0001-01-01T00:00:00",
        "until=9999-12-31T23:59:59Z",
        "until=9999-12-31T23:59:59-12:00",
        "until=9999-12-31T23:59:59",
    ],
)
async def test_the_first_and_the_last_time_there_is_find_everything(
    world: World, http, headers, flow: UUID, time: str, search: str
) -> None:
    path = f"/api/v1/clients/{world.one.slug}/runs"
    started = await http.post(path, headers=headers, json={"workflow": str(flow), "inputs": {"word": "odd"}})
    assert started.status_code == 201
    for each in (path, "/api/v1/runs"):
        answer = await http.get(f"{each}?{time}{search}", headers=headers)
        assert answer.status_code == 200, answer.text
        assert started.json()["id"] in {row["id"] for row in answer.json()}


@pytest.mark.parametrize("word", ["a\0b", HALF])
async def test_a_body_with_what_cannot_be_kept_is_refused_and_named(
    world: World, http, headers, flow: UUID, word: str
) -> None:
    wave = {"workflow": str(flow), "to": [world.one.slug]}
    schedule = {"name": "Odd", "kind": "schedule", "workflow": str(flow), "config": LATE}
    table = [
        ("runs", {"workflow": word}, "workflow"),
        ("runs", {"workflow": str(flow), "inputs": {"word": word}}, "inputs.word"),
        ("runs", {"workflow": str(flow), "rows": [{"word": "x"}, {"word": word}]}, "rows.1.word"),
        ("runs", {"workflow": str(flow), "idempotency_key": word}, "idempotency_key"),
        ("runs", {"workflow": str(flow), "inputs": {word: "x"}}, "inputs"),
        ("waves", {**wave, "idempotency_key": word}, "idempotency_key"),
        ("waves", {**wave, "inputs": {"word": word}}, "inputs.word"),
        ("triggers", {**schedule, "name": word}, "name"),
        ("triggers", {**schedule, "inputs": {"word": word}}, "inputs.word"),
        ("workflows", {"name": word}, "name"),
        ("workflows/import", {**DOCUMENT, "name": "Odd", "description": word}, "description"),
    ]
    for path, body, field in table:
        answer = await http.post(
            f"/api/v1/clients/{world.one.slug}/{path}", headers=headers, content=json.dumps(body).encode()
        )
        assert fields_of(answer, "not_storable")[0] in (field, f"document.{field}"), (path, body, answer.text)


@pytest.mark.parametrize("field", ["pause_s", "percents", "stop_at_percent"])
async def test_a_wave_by_no_number_is_refused(world: World, http, headers, flow: UUID, field: str) -> None:
    value = "[NaN]" if field == "percents" else "NaN"
    body = f'{{"workflow": "{flow}", "to": ["{world.one.slug}"], "{field}": {value}}}'
    answer = await http.post(f"/api/v1/clients/{world.one.slug}/waves", headers=headers, content=body)
    assert [name.split(".")[0] for name in fields_of(answer, "param_invalid") if name][:1] == [field]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"rows": [{"word": "x"}], "plan": "plan"}, "plan"),
        ({"rows": [{"word": "x"}], "inputs": {"word": "y"}}, "inputs"),
        ({"rows": [{"word": "x"}], "only_node": "a"}, "only_node"),
        ({"rows": [], "plan": "plan", "mode": "plan"}, "mode"),
    ],
)
async def test_what_a_table_cannot_have_is_not_passed_over(
    world: World, http, headers, flow: UUID, more: Json, field: str
) -> None:
    """A plan that is not kept to, or a whole run in the place of one step, is not what was asked for."""
    body = {"workflow": str(flow), "mode": "apply", **more}
    if "plan" in more:
        body["plan"] = str(new_id())
    answer = await http.post(f"/api/v1/clients/{world.one.slug}/runs", headers=headers, json=body)
    assert fields_of(answer, "not_with_rows") == [field]


async def test_a_number_that_no_version_has(world: World, http, headers, flow: UUID) -> None:
    base = f"/api/v1/clients/{world.one.slug}"
    most = 10**12
    schedule = {"name": "Late", "kind": "schedule", "workflow": str(flow), "config": LATE, "version": most}
    bodies = [
        ("runs", {"workflow": str(flow), "version": most}),
        ("runs", {"workflow": str(flow), "version": most, "rows": [{}]}),
        ("waves", {"workflow": str(flow), "version": most, "to": [world.one.slug]}),
        ("triggers", schedule),
        (f"workflows/{flow}/publish", {"version": most}),
    ]
    for path, body in bodies:
        answer = await http.post(f"{base}/{path}", headers=headers, json=body)
        assert answer.status_code == 404, (path, answer.text)
    assert (await http.get(f"{base}/workflows/{flow}/versions/{most}", headers=headers)).status_code == 404


async def test_a_place_in_the_history_behind_every_event(world: World, http, headers) -> None:
    answer = await http.get(f"/api/v1/clients/{world.one.slug}/history?before=0.{new_id()}.{10**12}", headers=headers)
    assert answer.status_code == 200


async def test_a_number_in_a_trigger_that_json_has_not_is_called_that(world: World, http, headers, flow: UUID) -> None:
    body = f'{{"name": "N", "kind": "schedule", "workflow": "{flow}", "inputs": {{"word": NaN}}, "config": {{}}}}'
    answer = await http.post(f"/api/v1/clients/{world.one.slug}/triggers", headers=headers, content=body)
    assert fields_of(answer, "missing_param") == ["config.cron"]
    body = body.replace('"config": {}', f'"config": {json.dumps(LATE)}')
    answer = await http.post(f"/api/v1/clients/{world.one.slug}/triggers", headers=headers, content=body)
    assert fields_of(answer, "bad_number") == ["inputs"]


async def test_a_variable_that_is_no_number_is_refused(world: World, http, headers) -> None:
    for value in ("NaN", "-Infinity", "[1e999]"):
        body = f'{{"variables": {{"fine": 1, "odd": {value}}}}}'
        answer = await http.patch(f"/api/v1/clients/{world.one.slug}", headers=headers, content=body)
        assert fields_of(answer, "variable_invalid") == ["variables.odd"]


async def test_what_a_webhook_was_sent_starts_its_run_all_the_same(world: World, http, flow: UUID) -> None:
    """A sender cannot mend what somebody has cut off in the middle of a character."""
    made = await triggers.create(
        await world.context("owner"),
        name=f"Odd {new_id().hex[-8:]}",
        kind="webhook",
        workflow=flow,
        inputs={"word": "{{ payload.w }}"},
        config={"auth": "secret"},
    )
    assert made.url
    token = made.url.rpartition("/")[2]
    for body in (rb'{"w": "cut\ud83d"}', rb'{"w": "cut\u0000"}'):
        answer = await http.post(
            f"/api/v1/hooks/{token}", headers={"Authorization": f"Bearer {made.secret}"}, content=body
        )
        assert answer.status_code == 202, answer.text
        assert answer.json()["outcome"] == "started"
