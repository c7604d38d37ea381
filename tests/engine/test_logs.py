"""What a worker logs of a run: one JSON object a line, with the client, run and step it belongs to."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from app.services import runs
from connectors.testing import Sandbox
from tests.engine.kit import NO_POLICY, Worker, wait_for, wait_until
from tests.engine.test_batch import tenant_with

Json = dict[str, Any]


def told(runner: Worker, run_id: UUID) -> list[Json]:
    """The worker's lines about the run."""
    lines = [json.loads(line) for line in runner.log.read_text().splitlines()]
    return [line for line in lines if line.get("run_id") == str(run_id)]


async def test_each_try_and_the_end_with_their_ids(m365: Sandbox, runner: Worker) -> None:
    tenant, flow = await tenant_with(NO_POLICY, m365)
    inputs = {"email": "ada@sandbox.example", "name": "Ada"}
    run_id = await runs.start(tenant.engineer, workflow=flow, inputs=inputs, mode="apply")
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    wait_until(lambda: any(line["event"] == "run.ended" for line in told(runner, run_id)), 20, "the end to be logged")
    found = told(runner, run_id)
    assert {line["client_id"] for line in found} == {str(tenant.engineer.client_id)}
    tried = [(line["step"], line["type"], line["state"]) for line in found if line["event"] == "step.tried"]
    assert tried == [("create", "m365.user.create", "succeeded"), ("licence", "m365.licence.assign", "succeeded")]
    ended = next(line for line in found if line["event"] == "run.ended")
    assert (ended["mode"], ended["state"], ended["part"]) == ("apply", "succeeded", "worker")
