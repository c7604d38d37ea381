"""Texts that PostgreSQL does not take (NUL, half a pair): what platforms say is kept, what is asked for is refused."""

from __future__ import annotations

from typing import Any

import pytest

from app.services import runs
from connectors.testing import Sandbox
from tests.engine.kit import NO_POLICY, Worker, chain, make_tenant, wait_for

Json = dict[str, Any]
HOST = "https://api.sandbox.example"
INPUTS: Json = {"type": "object", "properties": {"n": {"type": "integer"}}}


@pytest.fixture
def api(sandboxes: dict[str, Sandbox]) -> Sandbox:
    sandboxes["http"].reset()
    return sandboxes["http"]


@pytest.mark.parametrize("escaped", [r"\u0000", r"\ud83d"])
async def test_what_a_platform_answers_is_kept_and_goes_on(api: Sandbox, runner: Worker, escaped: str) -> None:
    """A write that was done is known to be done, and the steps after it see what is kept of its answer."""
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(api)
    sent = {"url": f"{HOST}/tickets", "text": f'{{"title": "cut{escaped}"}}', "content_type": "application/json"}
    document = chain(
        "Odd",
        {"id": "send", "type": "http.request.send", "connection": "http", "params": sent},
        {"id": "look", "type": "http.request.get", "connection": "http", "params": {"url": f"{HOST}/tickets"}},
        {"id": "say", "type": "flow.log", "params": {"message": "{{ steps.send.output.data.title }}"}},
        inputs=INPUTS,
    )
    flow = (await tenant.publish(document)).id
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow, mode="apply"))
    assert (run.state, run.reason) == ("succeeded", None)
    send, look, say = run.steps
    assert send.output["data"]["title"] == "cut\ufffd"
    assert look.output["data"]["items"][-1]["title"] == "cut\ufffd"
    assert say.output["message"] == "cut\ufffd"
    assert sum(entry["method"] == "POST" for entry in api.control.log()) == 1
    again = await runs.start(tenant.engineer, workflow=flow, mode="plan")
    assert (await wait_for(tenant.engineer, again)).state == "succeeded"


async def test_what_an_expression_makes_is_refused_where_it_is_planned(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    values = {"values": {"x": r"{{ 'a\u0000b' }}"}}
    flow = await tenant.publish(chain("Odd", {"id": "a", "type": "flow.transform", "params": values}, inputs=INPUTS))
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
    assert run.state == "failed"
    assert [(step.error["code"], step.error["field"]) for step in run.steps] == [("not_storable", "values.x")]
