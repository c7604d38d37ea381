"""What lists tell of runs that are over: what was done, never what was only planned."""

from __future__ import annotations

from typing import Any

from app.services import approvals, runs
from connectors.testing import Sandbox
from tests.engine.kit import NO_POLICY, Worker, wait_for, wait_for_question
from tests.engine.test_batch import ONE, tenant_with

Json = dict[str, Any]
WROTE = ("add", "change", "remove", "unknown", "irreversible")
ADA: Json = {"email": "ada@sandbox.example", "name": "Ada"}


def wrote(summary: Json) -> int:
    return sum(summary[name] for name in WROTE)


async def test_a_run_cancelled_before_it_wrote(m365: Sandbox, runner: Worker) -> None:
    tenant, flow = await tenant_with(ONE, m365)
    run_id = await runs.start(tenant.engineer, workflow=flow, inputs=ADA, mode="apply")
    await wait_for_question(tenant.engineer, run_id)
    assert wrote((await runs.get(tenant.engineer, run_id)).summary) == 2, "the plan, for whoever answers"
    await runs.cancel(tenant.engineer, run_id)
    over = await wait_for(tenant.engineer, run_id)
    assert (over.state, wrote(over.summary), over.effects) == ("cancelled", 0, ())
    listed = await runs.list_runs(tenant.engineer)
    assert [wrote(row.summary) for row in listed if row.id == run_id] == [0]


async def test_a_run_that_was_refused_while_planning(m365: Sandbox, runner: Worker) -> None:
    tenant, flow = await tenant_with(NO_POLICY, m365)
    inputs = {**ADA, "licence": "NO_SUCH_LICENCE"}
    run_id = await runs.start(tenant.engineer, workflow=flow, inputs=inputs, mode="apply")
    over = await wait_for(tenant.engineer, run_id)
    assert over.reason
    assert (over.state, over.reason["phase"]) == ("failed", "plan")
    assert (wrote(over.summary), over.summary["problems"]) == (0, 1)
    assert any(step["change"] for step in over.plan), "the plan itself stays to be read"


async def test_a_denied_batch_and_its_rows(m365: Sandbox, runner: Worker) -> None:
    tenant, flow = await tenant_with(ONE, m365)
    batch_id = await runs.start_batch(tenant.engineer, workflow=flow, rows=[ADA], mode="apply")
    asked = await wait_for_question(tenant.engineer, batch_id)
    assert (asked.kind, asked.of, wrote(asked.summary)) == ("batch", None, 2)
    await approvals.decide(tenant.approver, asked.id, decision="deny", seal=asked.seal, reason="Not now", mfa=True)
    over = await wait_for(tenant.engineer, batch_id)
    assert (over.state, wrote(over.summary), over.summary["rows"]) == ("cancelled", 0, 1)
    assert [(row.state, wrote(row.summary)) for row in over.runs] == [("cancelled", 0)]


async def test_a_batch_tells_what_its_rows_did(m365: Sandbox, runner: Worker) -> None:
    tenant, flow = await tenant_with(NO_POLICY, m365)
    m365.control.fault("error", operation="POST /users$", status=400, code="Request_BadRequest", every=2)
    rows = [{**ADA, "email": f"ada{n}@sandbox.example"} for n in range(2)]
    batch_id = await runs.start_batch(tenant.engineer, workflow=flow, rows=rows, mode="apply")
    over = await wait_for(tenant.engineer, batch_id)
    assert over.state == "failed"
    assert (over.summary["add"], over.summary["change"]) == (1, 1), "one row of two"
