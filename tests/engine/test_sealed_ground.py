"""What was agreed to holds at the write: the connection behind an alias, and what was known of an unknown change."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID

import psycopg

from app.services import clients, connections, forms, runs
from app.services.run_views import FormView
from connectors.testing import Sandbox
from tests.engine.asked import ASK, LIAM, agreed, begun, stands_still, tenant_of, update, yes
from tests.engine.kit import Tenant, Worker, chain, changing, wait_for, wait_for_question
from tests.servers import TestStack

Json = dict[str, Any]
WHO: Json = {
    "id": "who",
    "type": "flow.form",
    "params": {
        "title": "Who?",
        "fields": {"type": "object", "properties": {"user": {"type": "string"}}, "required": ["user"]},
        "roles": ["owner"],
    },
}


async def replaced(tenant: Tenant, m365: Sandbox) -> None:
    """The alias is taken from the connection that there is, and given to another one."""
    (there,) = await connections.list_connections(tenant.owner)
    await connections.remove(tenant.owner, connection_id=there.id)
    await tenant.connect(m365)


async def asked_form(tenant: Tenant, run_id: UUID) -> FormView:
    """The form that the run asks, as soon as it does."""
    until = time.monotonic() + 20
    while True:
        run = await runs.get(tenant.engineer, run_id)
        if run.forms:
            return run.forms[0]
        assert time.monotonic() < until, f"no form was asked: {run.state} {run.reason}"
        await asyncio.sleep(0.05)


async def test_a_connection_is_replaced_before_the_write(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_of(m365)
    run_id = await begun(tenant, ASK, update())
    await agreed(tenant, run_id)
    asked = await wait_for_question(tenant.engineer, run_id, node="ask")
    await replaced(tenant, m365)
    await yes(tenant.approver, asked)
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "failed"
    assert [step.error["code"] for step in run.steps if step.error] == ["connection_replaced"]
    await runs.retry(tenant.engineer, run_id)
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, changing(m365)) == ("failed", [])
    again = await runs.again(tenant.engineer, run_id, nodes=["step"], mode="apply")
    assert (await stands_still(m365, tenant, again)).why == "policy"


async def test_a_connection_inside_another_step_is_replaced_between_plan_and_start(
    m365: Sandbox, runner: Worker
) -> None:
    """The seal speaks of the connections of a body, too."""
    tenant = await tenant_of(m365)
    inner = {**update(node="inner"), "params": {"user": "{{ item }}", "department": "Legal"}}
    each = {"id": "each", "type": "flow.for_each", "params": {"items": f'{{{{ ["{LIAM}"] }}}}'}}
    flow = await tenant.publish(chain("Inside", {**each, "body": {"nodes": [inner], "edges": []}}))
    plan = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="plan"))
    await replaced(tenant, m365)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", plan=plan.id)
    assert (await stands_still(m365, tenant, run_id)).why == "moved"


async def test_nothing_is_taken_back_in_another_tenant(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_of(m365)
    run_id = await begun(tenant, update())
    await agreed(tenant, run_id)
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"
    await replaced(tenant, m365)
    undo = await wait_for(tenant.engineer, await runs.undo(tenant.engineer, run_id))
    assert (undo.state, undo.reason and undo.reason["code"]) == ("failed", "connection_replaced")
    assert len(changing(m365)) == 1


async def test_what_was_known_of_an_unknown_change_has_moved(m365: Sandbox, runner: Worker) -> None:
    """Only the form tells whom; the department was seen by whoever agreed, and is another one at the write."""
    tenant = await tenant_of(m365)
    await clients.update(tenant.owner, variables={"department": "Sales"})
    write = {**update(), "params": {"user": "{{ steps.who.output.user }}", "department": "{{ client.department }}"}}
    flow = await tenant.publish(chain("Unknown", WHO, write))
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    await agreed(tenant, run_id)
    form = await asked_form(tenant, run_id)
    await clients.update(tenant.owner, variables={"department": "Admins"})
    await forms.answer(tenant.owner, form.id, answer={"user": LIAM})
    asked = await stands_still(m365, tenant, run_id, node="step")
    assert asked.why == "moved"
    run = await runs.get(tenant.engineer, run_id)
    (waits,) = [step.waiting_for for step in run.steps if step.node == "step"]
    assert waits["differences"] == [{"field": "after.department", "sealed": "Sales", "now": "Admins"}]
    await yes(tenant.approver, asked)
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"


async def test_an_unknown_change_is_made_where_what_was_known_holds(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_of(m365)
    write = {**update(), "params": {"user": "{{ steps.who.output.user }}", "department": "Legal"}}
    flow = await tenant.publish(chain("Holds", WHO, write))
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    await agreed(tenant, run_id)
    form = await asked_form(tenant, run_id)
    await forms.answer(tenant.owner, form.id, answer={"user": LIAM})
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"
    assert len(changing(m365)) == 1


async def test_newer_code_of_a_step_asks_before_it_writes(stack: TestStack, m365: Sandbox, runner: Worker) -> None:
    """The run was planned and agreed to by another version of the action; it may mean something else by now."""
    tenant = await tenant_of(m365)
    run_id = await begun(tenant, ASK, update())
    await agreed(tenant, run_id)
    asked = await wait_for_question(tenant.engineer, run_id, node="ask")
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        older = """UPDATE run_plans SET plan = regexp_replace(plan::text, '"version": \\d+', '"version": 0', 'g')::jsonb
                    WHERE run_id = %s"""
        link.execute(older, (run_id,))
    await yes(tenant.approver, asked)
    again = await stands_still(m365, tenant, run_id, node="step")
    assert again.why == "moved"
    await yes(tenant.approver, again)
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"
