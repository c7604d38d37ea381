"""Webhooks over real HTTP: proofs, replays, payloads, limits; and that a wrong proof tells nothing."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx
import psycopg
import pytest

from app.core.ids import new_id
from app.services import runs, triggers, workflows
from app.services.triggers import Change, MadeTrigger
from tests.servers import TestStack
from tests.stack.people import World

pytestmark = pytest.mark.usefixtures("calm")
Json = dict[str, Any]
INPUTS = {
    "type": "object", "required": ["email"],
    "properties": {"email": {"type": "string", "format": "email"}, "seats": {"type": "integer", "default": 1}},
}  # fmt: skip
MAPPED = {"email": "{{ payload.user.mail }}", "seats": "{{ size(payload.user.seats) }}"}
GOOD: Json = {"user": {"mail": "a@b.example", "seats": ["x", "y"]}}


@pytest.fixture
async def flow(world: World) -> str:
    nodes = [{"id": "a", "type": "flow.noop"}]
    document = {"schema": "opsloom/workflow@1", "name": f"Hooked {new_id()}", "inputs": INPUTS, "nodes": nodes}
    return str((await workflows.import_document(await world.context("engineer"), document=document)).id)


@pytest.fixture
async def hook(world: World, flow: str) -> MadeTrigger:
    return await made(world, flow)


async def made(world: World, flow: str, *, inputs: Json = MAPPED, **config: Any) -> MadeTrigger:
    ctx = await world.context("engineer")
    asked: Json = {"name": f"Hook {new_id()}", "mode": "apply", "inputs": inputs, "config": config}
    return await triggers.create(ctx, kind="webhook", workflow=flow, **asked)


def path(hook: MadeTrigger) -> str:
    assert hook.url
    return "/api" + hook.url.partition("/api")[2]


def signed(hook: MadeTrigger, body: bytes, *, number: str = "", at: float | None = None) -> dict[str, str]:
    """Headers as a sender makes them who knows nothing of our code."""
    assert hook.secret
    number, stamp = number or f"msg_{new_id().hex}", str(int(at or time.time()))
    key = base64.b64decode(hook.secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{number}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {"webhook-id": number, "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}"}  # fmt: skip


async def send(http: httpx.AsyncClient, hook: MadeTrigger, payload: Any = GOOD, **more: Any) -> httpx.Response:
    body = json.dumps(payload).encode()
    return await http.post(path(hook), content=body, headers=signed(hook, body, **more))


def count(web: TestStack, hook: MadeTrigger, table: str) -> int:
    where = {"runs": "extra #>> '{trigger,id}' = %s", "trigger_firings": "trigger_id::text = %s"}[table]
    with psycopg.connect(web.superuser_dsn) as link:
        found = link.execute(f"SELECT count(*) FROM {table} WHERE {where}", [str(hook.id)]).fetchone()  # type: ignore[arg-type]
    assert found
    return int(found[0])


async def test_a_signed_delivery_starts_a_run_in_the_name_of_whoever_switched_it_on(http, world: World, hook) -> None:
    answer = await send(http, hook)
    assert answer.status_code == 202, answer.text
    assert answer.json()["outcome"] == "started"
    run = await runs.get(await world.context("engineer"), answer.json()["run"])
    assert (run.inputs, run.mode, run.started_by) == ({"email": "a@b.example", "seats": 2}, "apply", "Engineer")


async def test_a_replay_starts_nothing_again_and_is_answered_alike(http, web: TestStack, hook) -> None:
    body = json.dumps(GOOD).encode()
    headers = signed(hook, body)
    answers = await asyncio.gather(*(http.post(path(hook), content=body, headers=headers) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["run"] for answer in answers}) == 1
    assert (count(web, hook, "runs"), count(web, hook, "trigger_firings")) == (1, 1)
    other = await send(http, hook)
    assert other.json()["run"] != answers[0].json()["run"]


async def test_what_was_refused_starts_when_it_is_delivered_again_after_it_was_mended(
    http, web: TestStack, world: World, flow: str
) -> None:
    hook = await made(world, flow, inputs={"email": "{{ payload.user.post }}"})
    refused = await send(http, hook, number="msg_again")
    assert refused.status_code in (409, 422), refused.text
    await triggers.update(await world.context("engineer"), hook.id, Change(inputs=MAPPED))
    answers = [await send(http, hook, number="msg_again") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert (count(web, hook, "runs"), count(web, hook, "trigger_firings")) == (1, 1)


BODY = json.dumps(GOOD).encode()


def without(headers: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


@pytest.mark.parametrize("wrong", [
    lambda hook: without(signed(hook, BODY), "webhook-id"),
    lambda hook: without(signed(hook, BODY), "webhook-timestamp"),
    lambda hook: without(signed(hook, BODY), "webhook-signature"),
    lambda hook: {**signed(hook, BODY), "webhook-id": "another"},
    lambda hook: {**signed(hook, BODY), "webhook-timestamp": str(int(time.time()) + 1)},
    lambda hook: {**signed(hook, BODY), "webhook-signature": "v1,"},
    lambda hook: {**signed(hook, BODY), "webhook-signature": "v1," + "A" * 44},
    lambda hook: signed(hook, BODY + b" "),
    lambda hook: signed(hook, BODY, at=time.time() - 330),
    lambda hook: signed(hook, BODY, at=time.time() + 330),
    lambda hook: {"authorization": f"Bearer {hook.secret}"},
    lambda hook: {},
], ids=lambda found: "wrong")  # fmt: skip
async def test_a_wrong_proof_and_an_unknown_address_are_answered_alike(http, web, hook, wrong: Any) -> None:
    unknown = path(hook)[:-4] + "AAAA"
    answers = [await http.post(at, content=BODY, headers=wrong(hook)) for at in (path(hook), unknown)]
    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].json() == answers[1].json()
    assert answers[0].headers.keys() == answers[1].headers.keys()
    assert count(web, hook, "trigger_firings") == 0


@pytest.mark.parametrize(
    "token", ["x", "../x", "a" * 54, "%00", "é" * 10, base64.urlsafe_b64encode(b"0" * 40).decode()]
)
async def test_what_is_no_address_at_all_neither(http, token: str) -> None:
    answer = await http.post(f"/api/v1/hooks/{token}", content=BODY)
    assert answer.status_code == 404, answer.text


async def test_guessing_is_slowed_down_by_address_and_a_good_sender_hears_of_it(http, hook) -> None:
    async def guess() -> int:
        return (await http.post(path(hook), content=BODY, headers={"authorization": "Bearer x"})).status_code

    found = await asyncio.gather(*(guess() for _ in range(40)))
    assert 429 in [*found, await guess()]
    answer = await send(http, hook)
    assert (answer.status_code, "retry-after" in answer.headers) == (429, True)


async def test_a_shared_secret(http, web: TestStack, world: World, flow: str) -> None:
    hook = await made(world, flow, auth="secret")
    good = {"authorization": f"Bearer {hook.secret}"}
    assert (await http.post(path(hook), content=BODY, headers=good)).status_code == 202
    keyed = {**good, "webhook-id": "order-7"}
    first, again = [await http.post(path(hook), content=BODY, headers=keyed) for _ in range(2)]
    assert first.json()["run"] == again.json()["run"]
    for wrong in ({"authorization": f"Bearer {hook.secret}x"}, {"authorization": f"Basic {hook.secret}"}, {}):
        assert (await http.post(path(hook), content=BODY, headers=wrong)).status_code == 404
    with psycopg.connect(web.superuser_dsn) as link:
        kept = link.execute("SELECT to_jsonb(t)::text FROM triggers t WHERE id = %s", [hook.id]).fetchone()
    assert kept
    assert hook.secret not in kept[0]


async def test_a_signing_secret_is_in_no_row(web: TestStack, hook: MadeTrigger) -> None:
    assert hook.secret
    with psycopg.connect(web.superuser_dsn) as link:
        for table in ("triggers", "audit_events"):
            rows = link.execute(f"SELECT to_jsonb(t)::text FROM {table} t").fetchall()  # type: ignore[arg-type]
            assert rows
            assert not [row for row in rows if hook.secret.removeprefix("whsec_") in row[0]]


async def test_a_payload_that_does_not_fit_is_said_by_field_and_kept(http, world: World, hook) -> None:
    answer = await send(http, hook, {"user": {"mail": "no address", "seats": []}})
    assert (answer.status_code, answer.json()["code"]) == (422, "inputs_invalid")
    assert answer.json()["errors"][0]["field"] == "email"
    answer = await send(http, hook, {"user": {}})
    assert (answer.status_code, answer.json()["code"]) == (422, "payload_unfit")
    assert answer.json()["errors"][0]["field"] == "inputs.email"
    found = await triggers.firings(await world.context("viewer"), hook.id)
    assert [(each.outcome, each.why["code"]) for each in found] == [
        ("refused", "payload_unfit"), ("refused", "inputs_invalid"),
    ]  # fmt: skip
    view = await triggers.get(await world.context("viewer"), hook.id)
    assert (view.enabled, view.state, view.url) == (True, "refused", hook.url)


async def test_a_schema_of_the_payload_is_checked_first(http, world: World, flow: str) -> None:
    schema = {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "joiner"}}}
    hook = await made(world, flow, inputs={"email": "a@b.example"}, payload_schema=schema)
    assert (await send(http, hook, {"kind": "joiner", "more": 1})).status_code == 202
    for payload, field in (({"kind": "leaver"}, "payload.kind"), ({}, "payload.kind"), ([], "payload")):
        answer = await send(http, hook, payload)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_inputs_as_they_are(http, world: World, flow: str) -> None:
    hook = await made(world, flow, inputs={}, take="payload")
    answer = await send(http, hook, {"inputs": {"email": "c@d.example", "seats": 3}})
    assert answer.status_code == 202, answer.text
    run = await runs.get(await world.context("engineer"), answer.json()["run"])
    assert run.inputs == {"email": "c@d.example", "seats": 3}
    for payload in ([], {"inputs": []}, {"inputs": {"email": "c@d.example", "admin": True}}, "text"):
        assert (await send(http, hook, payload)).status_code == 422


@pytest.mark.parametrize("body", [b"{not json", b"[" * 100_000, b'{"a": NaN}', b"\xff\xfe", b'{"a": 1e999}'])
async def test_what_is_not_json_is_refused(http, web, hook, body: bytes) -> None:
    answer = await http.post(path(hook), content=body, headers=signed(hook, body))
    assert answer.status_code == 422, answer.text
    assert count(web, hook, "runs") == 0


async def test_a_body_that_is_too_large(http, hook) -> None:
    body = json.dumps({**GOOD, "fill": "x" * 300_000}).encode()
    answer = await http.post(path(hook), content=body, headers=signed(hook, body))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_switched_off_renewed_and_removed(http, world: World, hook) -> None:
    ctx = await world.context("engineer")
    await triggers.switch(ctx, hook.id, on=False)
    assert ((await send(http, hook)).status_code, (await send(http, hook)).json()["code"]) == (409, "trigger_off")
    await triggers.switch(ctx, hook.id, on=True)
    renewed = await triggers.renew_secret(ctx, hook.id)
    assert (await send(http, hook)).status_code == 404
    assert (await send(http, renewed)).status_code == 202
    await triggers.update(ctx, hook.id, Change(name=f"Other {new_id()}", config={"overlap": "skip"}))
    assert (await send(http, renewed)).json()["outcome"] == "skipped"
    await triggers.remove(ctx, hook.id)
    assert (await send(http, renewed)).status_code == 404


async def test_an_expression_over_a_huge_list_is_bounded(http, world: World, flow: str) -> None:
    expression = "{{ payload.l.map(a, payload.l.map(b, payload.l.map(c, a + b + c)))[0][0][0] }}"
    hook = await made(world, flow, inputs={"email": "a@b.example", "seats": expression})
    answer = await send(http, hook, {"l": list(range(20_000))})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "expression_too_costly")
