"""A new version while runs are going, and other workers: what began ends as it began."""

from __future__ import annotations

import pytest

from app.core.errors import Missing
from app.services import approvals, runs
from tests.engine.kit import NO_POLICY, Relay, Worker, chain, make_tenant, off_loop, wait_for, wait_for_question

ASK = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?", "roles": ["approver"]}, "_port": "approved"}


async def test_a_run_ends_by_the_version_that_it_began_with_on_workers_that_came_later(relay: Relay) -> None:
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(chain("Upgraded", ASK, {"id": "old", "type": "flow.noop"}))
    assert relay.runner
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    asked = await wait_for_question(tenant.engineer, run_id)
    newer = await tenant.publish(chain("Upgraded", ASK, {"id": "new", "type": "flow.noop"}))
    assert (newer.id, newer.version) == (flow.id, 2)
    assert await off_loop(relay.runner.end) == 0, "as a deployment does: the old worker is asked to go"
    assert relay.runner
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, run.version) == ("succeeded", 1)
    assert {step.node: step.state for step in run.steps} == {"ask": "succeeded", "old": "succeeded"}
    later = await wait_for_question(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
    assert (await runs.get(tenant.engineer, later.run_id)).version == 2


async def test_a_step_that_the_version_does_not_have_cannot_be_run_alone(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(chain("Alone", {"id": "there", "type": "flow.noop"}))
    with pytest.raises(Missing):
        await runs.start(tenant.engineer, workflow=flow.id, mode="apply", only_node="elsewhere")
    assert await runs.list_runs(tenant.engineer) == []
