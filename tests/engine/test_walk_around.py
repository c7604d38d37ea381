"""Approval cannot be walked around: each way that people would try, against a policy that asks for every write."""

from __future__ import annotations

import asyncio

import pytest

from app.core.errors import Forbidden, Stale
from app.services import approvals, clients, runs, workflows
from connectors.testing import Sandbox
from tests.engine.asked import (
    ASK,
    EVERY_WRITE,
    FAIL,
    ZOE,
    agreed,
    begun,
    look,
    person,
    stands_still,
    tenant_of,
    update,
    yes,
)
from tests.engine.kit import Worker, chain, changing, wait_for, wait_for_question


async def test_the_approval_step_is_deleted(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_of(m365)
    document = chain("Deleted", ASK, update())
    await tenant.publish(document)
    flow = await tenant.publish({**document, "nodes": document["nodes"][1:], "edges": []})
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    assert (await stands_still(m365, tenant, run_id)).why == "policy"


async def test_the_approval_step_is_switched_off_or_led_around(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_of(m365)
    off = await begun(tenant, {**ASK, "disabled": True}, update())
    assert (await stands_still(m365, tenant, off)).why == "policy"
    denied = chain("Around", ASK, update())
    denied["edges"] = [{"source": "ask", "target": "step", "port": port} for port in ("approved", "denied")]
    flow = await tenant.publish(denied)
    around = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    assert (await stands_still(m365, tenant, around)).why == "policy"


async def test_one_step_alone(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_of(m365)
    run_id = await begun(tenant, ASK, update(), only_node="step")
    assert (await stands_still(m365, tenant, run_id)).why == "policy"


async def test_the_plan_of_one_step_is_not_the_seal_of_all(m365: Sandbox, runner: Worker) -> None:
    """One harmless step is planned; the plan's id is then used to start the whole."""
    tenant = await tenant_of(m365)
    flow = await tenant.publish(chain("Part", look(), update()))
    plan = await runs.start(tenant.engineer, workflow=flow.id, mode="plan", only_node="look")
    await wait_for(tenant.engineer, plan)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", plan=plan)
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    assert [step.node for step in run.steps if step.state == "succeeded"] == ["look"], "it is that one step only"
    assert changing(m365) == []
    other = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", plan=plan, only_node="step")
    await stands_still(m365, tenant, other)


async def test_an_edited_output(m365: Sandbox, runner: Worker) -> None:
    """What was agreed for one person is run again with another's id in its place."""
    tenant = await tenant_of(m365)
    writes = {**update(), "params": {"user": "{{ steps.look.output.id }}", "department": "Legal"}}
    run_id = await begun(tenant, look(), writes)
    first = await agreed(tenant, run_id)
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    zoe = await wait_for(tenant.engineer, await begun(tenant, look(ZOE)))
    edited = {**run.steps[0].output, "id": zoe.steps[0].output["id"]}
    again = await runs.again(tenant.engineer, run_id, nodes=["step"], outputs={"look": edited}, mode="apply")
    asked = await stands_still(m365, tenant, again, writes=1)
    assert asked.seal != first.seal
    with pytest.raises(Stale):
        await yes(tenant.approver, asked, seal=first.seal)
    with pytest.raises(Stale):
        await yes(tenant.approver, first)
    plan = await runs.again(tenant.engineer, run_id, nodes=["step"], outputs={"look": edited}, mode="plan")
    await wait_for(tenant.engineer, plan)
    from_plan = await runs.start(tenant.engineer, workflow=run.workflow_id, mode="apply", plan=plan)
    await stands_still(m365, tenant, from_plan, writes=1)


async def test_run_again_from_a_step(m365: Sandbox, runner: Worker) -> None:
    """The drawn question was answered with yes once; beginning after it does not take that answer along."""
    tenant = await tenant_of(m365)
    run_id = await begun(tenant, update("A", "before"), ASK, update("B"))
    await agreed(tenant, run_id)
    await agreed(tenant, run_id, node="ask")
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"
    meddled = await begun(tenant, update("Elsewhere"))
    await agreed(tenant, meddled)
    await wait_for(tenant.engineer, meddled)
    again = await runs.again(tenant.engineer, run_id, nodes=["step"], mode="apply")
    assert (await stands_still(m365, tenant, again, writes=3)).why == "policy"
    back = await runs.again(tenant.engineer, run_id, nodes=["before"], mode="apply")
    assert (await stands_still(m365, tenant, back, writes=3)).why == "policy"


async def test_a_retry(m365: Sandbox, runner: Worker) -> None:
    """The agreed write is refused by the platform; before it is tried again somebody has changed the world."""
    m365.control.fault("error", writes=True, status=400, code="Request_BadRequest")
    tenant = await tenant_of(m365)
    run_id = await begun(tenant, update("Legal"))
    first = await agreed(tenant, run_id)
    assert (await wait_for(tenant.engineer, run_id)).state == "failed"
    m365.control.clear_log()
    meddled = await begun(tenant, update("Elsewhere"))
    await agreed(tenant, meddled)
    assert (await wait_for(tenant.engineer, meddled)).state == "succeeded"
    helper = await person(tenant, "owner")
    await runs.retry(helper, run_id)
    asked = await stands_still(m365, tenant, run_id, writes=1, other_than=first.id)
    assert asked.why == "moved"
    with pytest.raises(Forbidden):
        await yes(tenant.engineer, asked)
    await yes(tenant.approver, asked)
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"


async def test_who_has_it_tried_again_does_not_agree_to_it(m365: Sandbox, runner: Worker) -> None:
    policy = {"rules": [{"risk": "low", "roles": ["owner"], "count": 1}]}
    m365.control.fault("error", writes=True, status=400, code="Request_BadRequest")
    tenant = await tenant_of(m365, policy)
    run_id = await begun(tenant, update("Legal"))
    first = await wait_for_question(tenant.engineer, run_id)
    await yes(tenant.owner, first)
    await wait_for(tenant.engineer, run_id)
    meddled = await begun(tenant, update("Elsewhere"))
    await yes(tenant.owner, await wait_for_question(tenant.engineer, meddled))
    await wait_for(tenant.engineer, meddled)
    m365.control.clear_log()
    await runs.retry(tenant.owner, run_id)
    asked = await stands_still(m365, tenant, run_id, other_than=first.id)
    with pytest.raises(Forbidden) as refused:
        await yes(tenant.owner, asked)
    assert refused.value.code == "approval_author"
    await yes(await person(tenant, "owner"), asked)
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"


async def test_an_undo(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_of(m365)
    run_id = await begun(tenant, update())
    await agreed(tenant, run_id)
    await wait_for(tenant.engineer, run_id)
    undo = await runs.undo(tenant.engineer, run_id)
    asked = await stands_still(m365, tenant, undo, writes=1)
    with pytest.raises(Forbidden):
        await yes(tenant.engineer, asked)


async def test_a_compensation(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_of(m365)
    document = {**chain("Compensated", update(), FAIL), "on_failure": "compensate"}
    flow = await tenant.publish(document)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    await agreed(tenant, run_id)
    run = await wait_for(tenant.engineer, run_id)
    await stands_still(m365, tenant, run.followed_by[0].id, writes=1)


async def test_an_error_handler(m365: Sandbox, runner: Worker) -> None:
    """A workflow that fails at once, so that another one writes."""
    tenant = await tenant_of(m365)
    inputs = {"type": "object", "properties": {"run": {"type": "string"}}}
    await tenant.publish(chain("Handler", update(), inputs=inputs))
    flow = await tenant.publish({**chain("Decoy", FAIL), "error_handler": {"workflow": "Handler"}})
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
    await stands_still(m365, tenant, run.followed_by[0].id)


async def test_the_plan_changes_after_it_was_agreed_to(m365: Sandbox, runner: Worker) -> None:
    """Between the look and the yes somebody else changes what would be written over."""
    tenant = await tenant_of(m365)
    run_id = await begun(tenant, update("Legal"))
    asked = await wait_for_question(tenant.engineer, run_id)
    meddled = await begun(tenant, update("Elsewhere"))
    await agreed(tenant, meddled)
    await wait_for(tenant.engineer, meddled)
    m365.control.clear_log()
    await yes(tenant.approver, asked)
    again = await stands_still(m365, tenant, run_id, other_than=asked.id)
    assert again.why == "moved"
    with pytest.raises(Stale):
        await yes(tenant.approver, again, seal=asked.seal)


async def test_the_author_approves(m365: Sandbox, runner: Worker) -> None:
    """Whoever started it, wrote it or published it: also as the only one with the role."""
    tenant = await tenant_of(m365, {"rules": [{"risk": "low", "roles": ["owner"], "count": 1}]})
    document = chain("Mine", update())
    flow = await workflows.import_document(tenant.owner, document=document)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    asked = await stands_still(m365, tenant, run_id)
    with pytest.raises(Forbidden):
        await yes(tenant.owner, asked)
    await runs.cancel(tenant.engineer, run_id)
    theirs = await tenant.publish(chain("Theirs", update()))
    started = await runs.start(tenant.owner, workflow=theirs.id, mode="apply")
    again = await stands_still(m365, tenant, started)
    with pytest.raises(Forbidden):
        await yes(tenant.owner, again)


async def test_one_person_decides_twice_at_once(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_of(m365, {"rules": [{"risk": "low", "roles": ["approver", "owner"], "count": 2}]})
    run_id = await begun(tenant, update())
    asked = await wait_for_question(tenant.engineer, run_id)
    said = await asyncio.gather(*(yes(tenant.approver, asked) for _ in range(5)), return_exceptions=True)
    assert sum(not isinstance(found, BaseException) for found in said) == 1, said
    assert changing(m365) == []
    assert (await runs.get(tenant.engineer, run_id)).approvals[0].state == "open"
    await yes(tenant.owner, asked)
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"


async def test_paused_and_resumed_in_between(m365: Sandbox, runner: Worker) -> None:
    """A run that waits for its answer is paused and goes on: the question stands, and a denial holds."""
    tenant = await tenant_of(m365)
    run_id = await begun(tenant, update())
    asked = await wait_for_question(tenant.engineer, run_id)
    await runs.pause(tenant.engineer, run_id)
    await wait_for(tenant.engineer, run_id, ("paused",))
    await runs.resume(tenant.engineer, run_id)
    await stands_still(m365, tenant, run_id)
    await runs.pause(tenant.engineer, run_id)
    await wait_for(tenant.engineer, run_id, ("paused",))
    await approvals.decide(tenant.approver, asked.id, decision="deny", seal=asked.seal, reason="No.", mfa=True)
    await runs.resume(tenant.engineer, run_id)
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, run.reason and run.reason["code"]) == ("cancelled", "approval_denied")
    assert changing(m365) == []


async def test_the_policy_is_tightened_while_a_run_is_paused(m365: Sandbox, runner: Worker) -> None:
    """It is the policy at the write that counts, not the one at the start."""
    tenant = await tenant_of(m365, {"rules": []})
    run_id = await begun(tenant, ASK, update())
    asked = await wait_for_question(tenant.engineer, run_id)
    await runs.pause(tenant.engineer, run_id)
    await wait_for(tenant.engineer, run_id, ("paused",))
    await yes(tenant.approver, asked)
    await clients.update_policy(tenant.owner, policy=EVERY_WRITE)
    await runs.resume(tenant.engineer, run_id)
    assert (await stands_still(m365, tenant, run_id, node="step")).why == "policy"


async def test_a_step_alone_is_not_done_by_who_may_not_draw(m365: Sandbox, runner: Worker) -> None:
    """It would leave out the question that its author drew before it, whether or not the policy asks one."""
    tenant = await tenant_of(m365, {"rules": []})
    desk = await person(tenant, "helpdesk")
    flow = await tenant.publish(chain("Asks first", ASK, update()))
    with pytest.raises(Forbidden):
        await runs.start(desk, workflow=flow.id, mode="apply", only_node="step")
    plan = await runs.start(desk, workflow=flow.id, mode="plan", only_node="step")
    await wait_for(tenant.engineer, plan)
    with pytest.raises(Forbidden):
        await runs.start(desk, workflow=flow.id, mode="apply", plan=plan)
    alone = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", only_node="step")
    assert (await wait_for(tenant.engineer, alone)).state == "succeeded"
    with pytest.raises(Forbidden):
        await runs.again(desk, alone, nodes=["step"], mode="apply")
    assert len(changing(m365)) == 1
