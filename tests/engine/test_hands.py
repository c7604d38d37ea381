"""Who had a hand in what a run does may not approve it, by whichever way it was started."""

from __future__ import annotations

import asyncio
from uuid import UUID

import psycopg
import pytest

from app.core.context import Context
from app.core.errors import Forbidden, Stale
from app.services import clients, forms, runs, waves, workflows
from app.services.run_views import FormView
from connectors.testing import Sandbox
from tests.engine.asked import EVERY_WRITE, FAIL, LIAM, ZOE, begun, look, person, stands_still, tenant_of, update, yes
from tests.engine.kit import Tenant, Worker, chain, wait_for, wait_for_question
from tests.engine.waves import msp_with, published
from tests.servers import TestStack

OWNERS = {"rules": [{"risk": "low", "roles": ["owner"], "count": 1}]}


async def refused(ctx: Context, tenant: Tenant, run_id: UUID) -> None:
    with pytest.raises(Forbidden) as found:
        await yes(ctx, await wait_for_question(tenant.engineer, run_id))
    assert found.value.code == "approval_author"


async def test_whose_draft_was_planned(m365: Sandbox, runner: Worker) -> None:
    """Somebody else starts the plan: the draft becomes a version, and it is not theirs."""
    tenant = await tenant_of(m365, OWNERS)
    flow = await tenant.publish(chain("Theirs", update("Sales")))
    draft = chain("Theirs", update("Legal"))
    plan = await runs.start(tenant.owner, workflow=flow.id, mode="plan", draft=draft)
    await wait_for(tenant.engineer, plan)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", plan=plan)
    await stands_still(m365, tenant, run_id)
    await refused(tenant.owner, tenant, run_id)
    (newest, *_) = await workflows.versions(tenant.engineer, flow.id)
    assert newest.author == tenant.owner.actor.name


async def test_who_edited_an_output_that_somebody_else_starts_with(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_of(m365, OWNERS)
    writes = {**update(), "params": {"user": "{{ steps.look.output.id }}", "department": "Legal"}}
    other = await person(tenant, "owner")
    run_id = await begun(tenant, look(), writes)
    await yes(other, await wait_for_question(tenant.engineer, run_id))
    run = await wait_for(tenant.engineer, run_id)
    zoe = await wait_for(tenant.engineer, await begun(tenant, look(ZOE)))
    edited = {**run.steps[0].output, "id": zoe.steps[0].output["id"]}
    plan = await runs.again(tenant.owner, run_id, nodes=["step"], outputs={"look": edited}, mode="plan")
    await wait_for(tenant.engineer, plan)
    again = await runs.start(tenant.engineer, workflow=run.workflow_id, mode="apply", plan=plan)
    await refused(tenant.owner, tenant, again)
    await yes(other, await wait_for_question(tenant.engineer, again))
    assert (await wait_for(tenant.engineer, again)).state == "succeeded"
    once_more = await runs.again(tenant.engineer, again, nodes=["step"], mode="plan")
    await wait_for(tenant.engineer, once_more)
    assert LIAM not in str((await runs.get(tenant.engineer, once_more)).plan)


FORM = {
    "id": "which",
    "type": "flow.form",
    "params": {
        "title": "Which department?",
        "roles": ["owner"],
        "fields": {"type": "object", "properties": {"department": {"type": "string"}}, "required": ["department"]},
    },
}
SURE = {"id": "sure", "type": "flow.approval", "params": {"title": "Sure?", "roles": ["owner"]}, "_port": "approved"}


async def filled(ctx: Context, tenant: Tenant, run_id: UUID) -> None:
    """Answer the run's form as soon as it is asked."""
    found: tuple[FormView, ...] = ()
    async with asyncio.timeout(40):
        while not found:
            found = (await runs.get(tenant.engineer, run_id)).forms
            await asyncio.sleep(0.05)
    await forms.answer(ctx, found[0].id, answer={"department": "Legal"})


async def test_who_filled_in_the_form_that_is_decided(m365: Sandbox, runner: Worker) -> None:
    """Also in the run that goes on from it with the same answer."""
    tenant = await tenant_of(m365, {"rules": []})
    other = await person(tenant, "owner")
    run_id = await begun(tenant, FORM, SURE, update("{{ steps.which.output.department }}"))
    await filled(tenant.owner, tenant, run_id)
    await refused(tenant.owner, tenant, run_id)
    await yes(other, await wait_for_question(tenant.engineer, run_id))
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"
    again = await runs.again(tenant.engineer, run_id, nodes=["sure"], mode="apply")
    await refused(tenant.owner, tenant, again)
    await yes(other, await wait_for_question(tenant.engineer, again))
    assert (await wait_for(tenant.engineer, again)).state == "succeeded"


async def test_who_fills_in_a_form_while_the_question_is_open(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_of(m365, {"rules": []})
    document = chain("Beside", {"id": "first", "type": "flow.noop"}, FORM)
    document["nodes"].append({name: value for name, value in SURE.items() if name != "_port"})
    document["edges"].append({"source": "first", "target": "sure"})
    flow = await tenant.publish(document)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    await wait_for_question(tenant.engineer, run_id)
    await filled(tenant.owner, tenant, run_id)
    await refused(tenant.owner, tenant, run_id)


async def test_who_published_what_a_wave_brings_to_a_client(stack: TestStack, runner: Worker) -> None:
    msp = await msp_with(ada={"seen": False})
    await clients.update_policy(msp.own["ada"], policy=EVERY_WRITE)
    write = {"id": "set", "type": "flow.set_variable", "params": {"name": "seen", "value": True}}
    flow = await published(msp, chain("Brought", write), seen=False)
    await workflows.publish(msp.home.engineer, flow, version=1)
    await waves.start(msp.me, workflow=flow, mode="apply", inputs={}, to=[msp.slug("ada")])
    asked = "SELECT rule -> 'excluded' FROM approvals WHERE client_id = %s"
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        row = None
        async with asyncio.timeout(30):
            while row is None:
                row = link.execute(asked, [msp.own["ada"].client_id]).fetchone()
                await asyncio.sleep(0.1)
    assert str(msp.home.engineer.actor.account_id) in row[0]


async def test_what_was_undone_is_not_gone_on_from(m365: Sandbox, runner: Worker) -> None:
    """Neither by running again from a step, nor by a plan of that which was made before the undo."""
    tenant = await tenant_of(m365, {"rules": []})
    run_id = await begun(tenant, update("Legal", "before"), {**FAIL, "id": "stop"})
    assert (await wait_for(tenant.engineer, run_id)).state == "failed"
    plan = await runs.again(tenant.engineer, run_id, nodes=["stop"], mode="plan")
    await wait_for(tenant.engineer, plan)
    undo = await runs.undo(tenant.engineer, run_id)
    assert (await wait_for(tenant.engineer, undo)).state == "succeeded"
    flow = (await runs.get(tenant.engineer, run_id)).workflow_id
    with pytest.raises(Stale) as again:
        await runs.again(tenant.engineer, run_id, nodes=["stop"], mode="apply")
    with pytest.raises(Stale) as planned:
        await runs.start(tenant.engineer, workflow=flow, mode="apply", plan=plan)
    assert {again.value.code, planned.value.code} == {"run_undone"}
