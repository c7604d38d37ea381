"""A table of people as one batch: one plan, one seal, one approval, a run for each row, and all of it taken back."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from app.core.errors import Invalid, Stale
from app.services import approvals, runs
from app.services.inputs import read_table
from app.services.run_views import RunRow
from connectors.testing import Sandbox
from tests.engine.kit import NO_POLICY, Tenant, Worker, chain, changing, make_tenant, wait_for, wait_for_question

Json = dict[str, Any]
INPUTS = {
    "type": "object",
    "properties": {
        "email": {"type": "string", "format": "email"},
        "name": {"type": "string", "minLength": 1},
        "licence": {"type": "string", "default": "FLOW_FREE"},
    },
    "required": ["email", "name"],
}
ONE = {"rules": [{"risk": "medium", "roles": ["approver"], "count": 1}]}


def onboarding() -> Json:
    create = {
        "id": "create",
        "type": "m365.user.create",
        "connection": "m365",
        "params": {
            "user_principal_name": "{{ inputs.email }}",
            "display_name": "{{ inputs.name }}",
            "usage_location": "FR",
        },
    }
    licence = {
        "id": "licence",
        "type": "m365.licence.assign",
        "connection": "m365",
        "params": {"user": "{{ inputs.email }}", "licences": ["{{ inputs.licence }}"]},
    }
    return chain("Onboard from a table", create, licence, inputs=INPUTS)


TABLE = """email;name;licence
renee.d'arcy@sandbox.example;Renée d'Arcy;
zoe@sandbox.example;Zoë Lefèvre;
not-an-address;Nobody;
jose@sandbox.example;José Núñez;FLOW_FREE
""".encode("cp1252")


async def tenant_with(policy: Json, m365: Sandbox) -> tuple[Tenant, Any]:
    tenant = await make_tenant(policy)
    await tenant.connect(m365)
    flow = await tenant.publish(onboarding())
    m365.control.clear_log()
    return tenant, flow.id


def by_number(rows: tuple[RunRow, ...]) -> dict[int | None, RunRow]:
    return {row.row_number: row for row in rows}


async def test_a_table_with_a_bad_row_starts_nothing(m365: Sandbox, runner: Worker) -> None:
    tenant, flow = await tenant_with(NO_POLICY, m365)
    with pytest.raises(Invalid) as refused:
        await runs.start_batch(tenant.engineer, workflow=flow, rows=read_table(TABLE), mode="apply")
    assert [(problem.row, problem.field) for problem in refused.value.problems] == [(3, "email")]
    assert await runs.list_runs(tenant.engineer) == []
    assert m365.control.writes() == []


async def test_one_plan_one_approval_a_run_for_each_row_and_back(m365: Sandbox, runner: Worker) -> None:
    tenant, flow = await tenant_with(ONE, m365)
    before = m365.control.dump()
    batch_id = await runs.start_batch(
        tenant.engineer, workflow=flow, rows=read_table(TABLE), mode="apply", skip_invalid=True
    )
    asked = await wait_for_question(tenant.engineer, batch_id)
    batch = await runs.get(tenant.engineer, batch_id)
    assert m365.control.writes() == []
    assert [row["row"] for row in batch.held_back] == [3]
    kinds = {step["node"]: step["change"]["kind"] for step in batch.plan}
    assert kinds["1:create"] == "create"
    assert kinds["2:create"] == "none", "Zoë is there already, as she should be"
    assert kinds["2:licence"] == "update"
    assert len(batch.approvals) == 1
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    batch = await wait_for(tenant.engineer, batch_id)
    assert (batch.state, batch.reason) == ("succeeded", None)
    assert {number: row.state for number, row in by_number(batch.runs).items()} == dict.fromkeys((1, 2, 4), "succeeded")
    assert len(changing(m365)) == 5

    undo = await waiting_undo(tenant, batch_id)
    assert undo.state == "succeeded", undo.reason
    assert m365.control.dump() == before


async def waiting_undo(tenant: Tenant, batch_id: Any) -> Any:
    undo_id = await runs.undo(tenant.engineer, batch_id)
    asked = await wait_for_question(tenant.engineer, undo_id)
    assert asked.of == batch_id, "whoever answers sees that it is an undo"
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    return await wait_for(tenant.engineer, undo_id)


async def test_rows_cannot_all_count_on_the_last_seat(m365: Sandbox, runner: Worker) -> None:
    """ENTERPRISEPACK has four seats, two are taken: the third of three rows is refused while planning."""
    tenant, flow = await tenant_with(NO_POLICY, m365)
    rows = [{"email": f"p{n}@sandbox.example", "name": f"P {n}", "licence": "ENTERPRISEPACK"} for n in range(3)]
    batch_id = await runs.start_batch(tenant.engineer, workflow=flow, rows=rows, mode="apply")
    batch = await wait_for(tenant.engineer, batch_id)
    found = by_number(batch.runs)
    assert [found[n].state for n in (1, 2, 3)] == ["succeeded", "succeeded", "failed"]
    assert found[3].reason
    assert (found[3].reason["node"], found[3].reason["phase"]) == ("licence", "plan")
    assert not any("p2@" in str(record["body"]) for record in changing(m365)), "the refused row wrote nothing"


async def test_a_row_that_fails_stops_no_other(m365: Sandbox, runner: Worker) -> None:
    tenant, flow = await tenant_with(NO_POLICY, m365)
    rows = [{"email": f"q{n}@sandbox.example", "name": f"Q {n}"} for n in range(3)]
    m365.control.fault("error", operation="POST /users$", status=400, code="Request_BadRequest", every=2)
    batch_id = await runs.start_batch(tenant.engineer, workflow=flow, rows=rows, mode="apply")
    batch = await wait_for(tenant.engineer, batch_id)
    assert batch.state == "failed"
    assert batch.reason == {"code": "rows_not_done", "count": 1}
    assert sorted(row.state for row in batch.runs) == ["failed", "succeeded", "succeeded"]


async def test_a_row_that_moved_after_the_approval_asks_for_itself(m365: Sandbox, runner: Worker) -> None:
    """Nobody who said yes to the table said yes to what this row would do now; a self-confirmation is not enough."""
    tenant, flow = await tenant_with(ONE, m365)
    rows = [{"email": f"r{n}@sandbox.example", "name": f"R {n}"} for n in range(2)]
    batch_id = await runs.start_batch(tenant.engineer, workflow=flow, rows=rows, mode="apply")
    asked = await wait_for_question(tenant.engineer, batch_id)
    await meddled(m365, rows[1])
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    rows_now = by_number((await runs.get(tenant.engineer, batch_id)).runs)
    again = await wait_for_question(tenant.engineer, rows_now[2].id, other_than=asked.id)
    assert (again.why, again.roles) == ("moved", ("approver",))
    assert (await wait_for(tenant.engineer, rows_now[1].id)).state == "succeeded"
    await approvals.decide(tenant.approver, again.id, decision="approve", seal=again.seal, mfa=True)
    assert (await wait_for(tenant.engineer, batch_id)).state == "succeeded"


async def meddled(m365: Sandbox, row: Json) -> None:
    """Somebody else creates the person of the row, under another name."""
    elsewhere, flow = await tenant_with(NO_POLICY, m365)
    inputs = {**row, "name": "Somebody Else"}
    run_id = await runs.start(elsewhere.engineer, workflow=flow, mode="apply", inputs=inputs)
    assert (await wait_for(elsewhere.engineer, run_id)).state == "succeeded"


async def planned(tenant: Tenant, flow: Any) -> Any:
    plan = await runs.start_batch(
        tenant.engineer, workflow=flow, rows=read_table(TABLE), mode="plan", skip_invalid=True
    )
    view = await wait_for(tenant.engineer, plan)
    assert view.state == "succeeded", view.reason
    return view


async def test_the_plan_of_a_batch_is_no_plan_of_one_run(m365: Sandbox, runner: Worker) -> None:
    tenant, flow = await tenant_with(NO_POLICY, m365)
    plan = await planned(tenant, flow)
    with pytest.raises(Stale) as refused:
        await runs.start(tenant.engineer, workflow=flow, mode="apply", plan=plan.id)
    assert refused.value.code == "plan_of_batch"
    assert [run.id for run in await runs.list_runs(tenant.engineer)] == [plan.id]


async def test_a_planned_batch_is_done_as_it_was_planned(m365: Sandbox, runner: Worker) -> None:
    """The same rows, the same rows held back, once for one key, and without another question: nothing has moved."""
    tenant, flow = await tenant_with(NO_POLICY, m365)
    plan = await planned(tenant, flow)
    batch_id = await runs.start_planned_batch(tenant.engineer, plan.id, idempotency_key="one click")
    assert await runs.start_planned_batch(tenant.engineer, plan.id, idempotency_key="one click") == batch_id
    batch = await wait_for(tenant.engineer, batch_id)
    assert (batch.state, batch.reason, batch.approvals) == ("succeeded", None, ())
    assert batch.held_back == plan.held_back
    assert [(row.row_number, row.label) for row in batch.runs] == [(row.row_number, row.label) for row in plan.runs]
    assert batch.seal == plan.seal
    assert len(changing(m365)) == 5


async def test_whoever_names_a_plan_need_not_know_whether_it_is_of_a_table(m365: Sandbox, runner: Worker) -> None:
    tenant, flow = await tenant_with(NO_POLICY, m365)
    plan = await planned(tenant, flow)

    async def start(plan: Any, **asked: Any) -> Any:
        return await runs.start_planned(tenant.engineer, workflow=flow, plan=plan, **{"mode": "apply"} | asked)

    batch_id = await start(plan.id, idempotency_key="a click")
    assert await start(plan.id, idempotency_key="a click") == batch_id
    batch = await wait_for(tenant.engineer, batch_id)
    assert (batch.kind, batch.state, batch.seal) == ("batch", "succeeded", plan.seal)
    one = await runs.start(tenant.engineer, workflow=flow, inputs={"email": "s1@sandbox.example", "name": "S"})
    sealed = (await wait_for(tenant.engineer, one)).seal
    single = await wait_for(tenant.engineer, await start(one))
    assert (single.kind, single.state, single.seal) == ("run", "succeeded", sealed)


async def test_what_a_planned_table_has_already_is_not_given_again(m365: Sandbox, runner: Worker) -> None:
    """Otherwise somebody might believe that these rows are held to that plan."""
    tenant, flow = await tenant_with(NO_POLICY, m365)
    plan = await planned(tenant, flow)
    other = await tenant.publish(chain("Another", {"id": "a", "type": "flow.noop"}))
    before = await runs.list_runs(tenant.engineer)
    row = {"email": "t1@sandbox.example", "name": "T"}
    for code, asked in (
        ("plan_of_batch", {"workflow": flow, "inputs": row}),
        ("plan_of_batch", {"workflow": flow, "mode": "plan"}),
        ("plan_unusable", {"workflow": other.id}),
    ):
        with pytest.raises(Stale) as caught:
            await runs.start_planned(tenant.engineer, plan=plan.id, **{"mode": "apply"} | asked)
        assert caught.value.code == code
    assert await runs.list_runs(tenant.engineer) == before


async def test_a_planned_batch_asks_when_a_row_is_no_longer_as_planned(m365: Sandbox, runner: Worker) -> None:
    tenant, flow = await tenant_with(NO_POLICY, m365)
    plan = await planned(tenant, flow)
    await meddled(m365, {"email": "jose@sandbox.example", "name": "José Núñez"})
    m365.control.clear_log()
    batch_id = await runs.start_planned_batch(tenant.engineer, plan.id)
    asked = await wait_for_question(tenant.engineer, batch_id)
    assert asked.why == "moved"
    assert m365.control.writes() == []
    moved = by_number((await runs.get(tenant.engineer, batch_id)).runs)[4]
    assert (await runs.get(tenant.engineer, moved.id)).differences
    await approvals.decide(tenant.engineer, asked.id, decision="approve", seal=asked.seal, mfa=True)
    assert (await wait_for(tenant.engineer, batch_id)).state in ("succeeded", "failed")
    assert changing(m365)


async def test_only_the_finished_plan_of_a_batch_is_started_so(m365: Sandbox, runner: Worker) -> None:
    tenant, flow = await tenant_with(NO_POLICY, m365)
    rows = [{"email": "one@sandbox.example", "name": "One"}]
    done = await runs.start_batch(tenant.engineer, workflow=flow, rows=rows, mode="apply")
    assert (await wait_for(tenant.engineer, done)).state == "succeeded"
    reverse = await runs.undo(tenant.engineer, done, mode="plan")
    await wait_for(tenant.engineer, reverse)
    for wrong, code in ((done, "plan_unusable"), (reverse, "plan_of_undo"), (uuid4(), "plan_unusable")):
        with pytest.raises(Stale) as refused:
            await runs.start_planned_batch(tenant.engineer, wrong)
        assert refused.value.code == code
