"""Who must agree before something is written, and every way around it that people would try."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.core.context import Context
from app.core.errors import Forbidden, Stale
from app.services import approvals, audit, clients, runs, workflows
from app.services.run_views import ApprovalView, RunView
from connectors.testing import Sandbox
from tests.engine.kit import (
    NO_POLICY,
    OVER,
    Tenant,
    Worker,
    chain,
    changing,
    make_tenant,
    only_step,
    wait_for,
    wait_for_question,
    waiting,
)

Json = dict[str, Any]
LIAM = "liam.o'connor@sandbox.example"
ANNA = "anna.berg@sandbox.example"
ONE = {"rules": [{"risk": "medium", "roles": ["approver"], "count": 1}]}
TWO = {"rules": [{"risk": "medium", "roles": ["approver", "owner"], "count": 2}]}
BOTH_RULES = {"rules": [{"risk": "medium", "roles": ["approver"]}, {"actions": ["m365.*"], "roles": ["owner"]}]}


def disable(node: str = "step", user: str = LIAM) -> Json:
    return {"id": node, "type": "m365.user.disable", "connection": "m365", "params": {"user": user}}


def update(user: str, department: str, node: str = "update") -> Json:
    params = {"user": user, "department": department}
    return {"id": node, "type": "m365.user.update", "connection": "m365", "params": params}


async def tenant_with(policy: Json, m365: Sandbox) -> Tenant:
    tenant = await make_tenant(policy)
    await tenant.connect(m365)
    m365.control.clear_log()
    return tenant


async def started(tenant: Tenant, document: Json, ctx: Context | None = None, **more: Any) -> tuple[Any, RunView]:
    """The workflow and its run, once the run waits or is over."""
    flow = await tenant.publish(document)
    run_id = await runs.start(ctx or tenant.engineer, workflow=flow.id, mode="apply", **more)
    return flow, await waiting(tenant.engineer, run_id)


async def approve(ctx: Context, asked: ApprovalView) -> ApprovalView:
    return await approvals.decide(ctx, asked.id, decision="approve", seal=asked.seal, mfa=True)


async def deny(ctx: Context, asked: ApprovalView) -> ApprovalView:
    return await approvals.decide(ctx, asked.id, decision="deny", seal=asked.seal, reason="No.", mfa=True)


async def actions_of(tenant: Tenant) -> list[str]:
    found = await audit.list_events(tenant.owner)
    return [event.action for event in found.events]


async def test_without_an_approval_step_the_policy_asks_all_the_same(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_with(ONE, m365)
    _, run = await started(tenant, only_step("m365.user.disable", {"user": LIAM}))
    assert (run.state, run.reason and run.reason["code"]) == ("waiting", "approval")
    assert changing(m365) == []
    await approve(tenant.approver, run.approvals[0])
    assert (await wait_for(tenant.engineer, run.id)).state == "succeeded"
    assert {"approval_asked", "approval_decided", "run_succeeded"} <= set(await actions_of(tenant))


async def test_what_the_workflow_itself_asks_is_not_the_policyʼs_answer(m365: Sandbox, runner: Worker) -> None:
    """The policy is tightened while a drawn approval of the same people waits: its yes opens no other gate."""
    tenant = await tenant_with(NO_POLICY, m365)
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
    _, run = await started(tenant, chain("Drawn", ask, disable()))
    await clients.update_policy(tenant.owner, policy=ONE)
    await approve(tenant.approver, run.approvals[0])
    again = await wait_for_question(tenant.engineer, run.id, node="step")
    assert again.why == "policy"
    assert changing(m365) == []
    await approve(tenant.approver, again)
    assert (await wait_for(tenant.engineer, run.id)).state == "succeeded"


async def test_one_step_alone_is_asked_for_too(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_with(ONE, m365)
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
    _, run = await started(tenant, chain("Around", ask, disable()), only_node="step")
    assert run.state == "waiting"
    assert run.reason is not None
    assert run.reason["why"] == "policy"
    assert changing(m365) == []
    await deny(tenant.approver, run.approvals[0])
    over = await wait_for(tenant.engineer, run.id)
    assert (over.state, over.reason and over.reason["code"]) == ("cancelled", "approval_denied")
    assert changing(m365) == []


async def test_one_step_alone_that_moved_is_asked_for_again(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_with(ONE, m365)
    ask = {"id": "hold", "type": "flow.noop"}
    _, run = await started(tenant, chain("One", ask, update(LIAM, "Legal")), only_node="update")
    await meddle(m365, update(LIAM, "Elsewhere"))
    await approve(tenant.approver, run.approvals[0])
    again = await wait_for_question(tenant.engineer, run.id, other_than=run.approvals[0].id)
    assert again.why == "moved"
    assert again.roles == ("approver",)
    assert changing(m365) == []


async def test_an_undo_is_asked_for_too(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_with(ONE, m365)
    _, run = await started(tenant, only_step("m365.user.disable", {"user": LIAM}))
    await approve(tenant.approver, run.approvals[0])
    assert (await wait_for(tenant.engineer, run.id)).state == "succeeded"
    m365.control.clear_log()
    undo = await waiting(tenant.engineer, await runs.undo(tenant.engineer, run.id))
    assert undo.state == "waiting"
    assert changing(m365) == []
    with pytest.raises(Forbidden):
        await approve(tenant.engineer, undo.approvals[0])
    await approve(tenant.approver, undo.approvals[0])
    assert (await wait_for(tenant.engineer, undo.id)).state == "succeeded"


async def test_trying_again_keeps_to_what_was_agreed(m365: Sandbox, runner: Worker) -> None:
    """A step fails; before it is tried again the policy is tightened: people are asked."""
    tenant = await tenant_with(NO_POLICY, m365)
    m365.control.fault("error", writes=True, status=400, code="Request_BadRequest", times=None)
    _, run = await started(tenant, chain("Retry", disable()))
    assert run.state == "failed", run.reason
    m365.control.clear_faults()
    m365.control.clear_log()
    await clients.update_policy(tenant.owner, policy=ONE)
    await runs.retry(tenant.engineer, run.id)
    asked = await wait_for_question(tenant.engineer, run.id, node="step")
    assert asked.why == "policy"
    assert changing(m365) == []
    await deny(tenant.approver, asked)
    over = await wait_for(tenant.engineer, run.id)
    assert (over.state, over.reason and over.reason["code"]) == ("failed", "approval_denied")
    assert changing(m365) == []


async def test_other_inputs_are_another_plan(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_with(ONE, m365)
    schema = {"type": "object", "properties": {"user": {"type": "string"}}, "required": ["user"]}
    step = disable(user="{{ inputs.user }}")
    flow = await tenant.publish(chain("Inputs", step, inputs=schema))
    plan_id = await runs.start(tenant.engineer, workflow=flow.id, mode="plan", inputs={"user": LIAM})
    plan = await wait_for(tenant.engineer, plan_id)
    with pytest.raises(Stale):
        await runs.start(tenant.engineer, workflow=flow.id, mode="apply", plan=plan_id, inputs={"user": ANNA})
    run = await waiting(
        tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply", plan=plan_id)
    )
    assert run.seal == plan.seal
    other_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"user": ANNA})
    other = await waiting(tenant.engineer, other_id)
    assert other.seal != run.seal
    assert {run.approvals[0].id, other.approvals[0].id} == {a.id for a in await approvals.list_approvals(tenant.owner)}


async def test_who_wrote_published_or_started_it_cannot_agree(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_with({"rules": [{"risk": "medium", "roles": ["owner", "approver"]}]}, m365)
    document = only_step("m365.user.disable", {"user": LIAM})
    flow = await workflows.import_document(tenant.owner, document=document)
    for starter, code in ((tenant.owner, "approval_own"), (tenant.engineer, "approval_author")):
        run = await waiting(tenant.engineer, await runs.start(starter, workflow=flow.id, mode="apply"))
        with pytest.raises(Forbidden) as refused:
            await approve(tenant.owner, run.approvals[0])
        assert refused.value.code == code
        with pytest.raises(Forbidden):
            await approve(tenant.engineer, run.approvals[0])
        assert (await runs.get(tenant.owner, run.id)).approvals[0].state == "open"
    assert "approval_refused" in await actions_of(tenant)
    assert changing(m365) == []


async def test_of_two_who_answer_at_once_one_closes_it(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_with({"rules": [{"risk": "medium", "roles": ["owner", "approver"]}]}, m365)
    _, run = await started(tenant, only_step("m365.user.disable", {"user": LIAM}))
    (asked,) = run.approvals
    said = await asyncio.gather(approve(tenant.approver, asked), deny(tenant.owner, asked), return_exceptions=True)
    closed = [found for found in said if isinstance(found, Stale)]
    assert len(closed) == 1, said
    assert closed[0].code == "approval_closed"
    run = await wait_for(tenant.engineer, run.id)
    (settled,) = run.approvals
    assert len(settled.decisions) == 1
    assert run.state == ("succeeded" if settled.decisions[0].decision == "approve" else "cancelled")


async def test_two_have_to_agree_and_they_are_two_people(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_with(TWO, m365)
    _, run = await started(tenant, only_step("m365.user.disable", {"user": LIAM}))
    (asked,) = run.approvals
    assert (await approve(tenant.approver, asked)).state == "open"
    with pytest.raises(Forbidden) as twice:
        await approve(tenant.approver, asked)
    assert twice.value.code == "approval_answered"
    await asyncio.sleep(0.5)
    assert changing(m365) == []
    await approve(tenant.owner, asked)
    assert (await wait_for(tenant.engineer, run.id)).state == "succeeded"


async def meddle(m365: Sandbox, node: Json) -> None:
    """Somebody else changes the tenant; the log is empty afterwards."""
    elsewhere = await make_tenant(NO_POLICY)
    await elsewhere.connect(m365)
    flow = await elsewhere.publish(chain("Meddle", node))
    run = await wait_for(elsewhere.engineer, await runs.start(elsewhere.engineer, workflow=flow.id, mode="apply"))
    assert run.state == "succeeded", run.reason
    m365.control.clear_log()


async def test_an_answer_to_what_is_no_longer_so_is_refused(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_with(ONE, m365)
    _, run = await started(tenant, chain("Moved", update(LIAM, "Legal")))
    (first,) = run.approvals
    with pytest.raises(Stale) as other_seal:
        await approvals.decide(tenant.approver, first.id, decision="approve", seal="0" * 64, mfa=True)
    assert other_seal.value.status == 409
    await meddle(m365, update(LIAM, "Elsewhere"))
    await approve(tenant.approver, first)
    second = await wait_for_question(tenant.engineer, run.id, other_than=first.id)
    assert second.why == "moved"
    with pytest.raises(Stale):
        await approvals.decide(tenant.approver, second.id, decision="approve", seal=first.seal, mfa=True)
    with pytest.raises(Stale):
        await approve(tenant.approver, first)
    assert changing(m365) == []
    await approve(tenant.approver, second)
    assert (await wait_for(tenant.engineer, run.id)).state == "succeeded"


async def test_a_write_that_moves_in_the_middle_needs_everybody_again(m365: Sandbox, runner: Worker) -> None:
    """Two rules agreed to the plan; between two steps the second's target moves: both are asked, one is not enough."""
    tenant = await tenant_with(BOTH_RULES, m365)
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
    _, run = await started(tenant, chain("Middle", ask, update(LIAM, "Legal")))
    for _ in range(2):
        gate = await wait_for_question(tenant.engineer, run.id)
        await approve(tenant.owner if gate.roles == ("owner",) else tenant.approver, gate)
    drawn = await wait_for_question(tenant.engineer, run.id, node="ask")
    await meddle(m365, update(LIAM, "Elsewhere"))
    await approve(tenant.approver, drawn)
    seen = set()
    for _ in range(2):
        asked = await wait_for_question(tenant.engineer, run.id, node="update")
        assert changing(m365) == []
        assert asked.why == "moved"
        assert asked.change is not None
        assert asked.change["before"] == {"department": "Elsewhere"}
        seen.add(asked.roles)
        await approve(tenant.owner if asked.roles == ("owner",) else tenant.approver, asked)
    assert seen == {("owner",), ("approver",)}
    over = await wait_for(tenant.engineer, run.id)
    assert over.state == "succeeded", over.reason
    assert len(changing(m365)) == 1


async def test_where_no_policy_asks_a_moved_write_is_confirmed(m365: Sandbox, runner: Worker) -> None:
    tenant = await tenant_with(NO_POLICY, m365)
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
    _, run = await started(tenant, chain("Confirm", ask, update(LIAM, "Legal")))
    await meddle(m365, update(LIAM, "Elsewhere"))
    await approve(tenant.approver, run.approvals[0])
    asked = await wait_for_question(tenant.engineer, run.id, node="update")
    assert changing(m365) == []
    await approve(tenant.engineer, asked)
    assert (await wait_for(tenant.engineer, run.id)).state == "succeeded"


class TestDrawn:
    """A question that the workflow itself asks."""

    def document(self, **params: Any) -> Json:
        nodes = [{"id": "ask", "type": "flow.approval", "params": {"title": "Go on?", **params}}]
        nodes += [{"id": name, "type": "flow.noop"} for name in ("yes", "no")]
        edges = [
            {"source": "ask", "target": "yes", "port": "approved"},
            {"source": "ask", "target": "no", "port": "denied"},
        ]
        return {"schema": "opsloom/workflow@1", "name": "Drawn", "nodes": nodes, "edges": edges}

    async def test_yes(self, runner: Worker) -> None:
        tenant = await make_tenant(NO_POLICY)
        _, run = await started(tenant, self.document())
        await approve(tenant.approver, run.approvals[0])
        assert states(await wait_for(tenant.engineer, run.id)) == ["succeeded", "skipped", "succeeded"]

    async def test_no(self, runner: Worker) -> None:
        tenant = await make_tenant(NO_POLICY)
        _, run = await started(tenant, self.document())
        await deny(tenant.approver, run.approvals[0])
        run = await wait_for(tenant.engineer, run.id)
        assert states(run) == ["succeeded", "succeeded", "skipped"]
        ask = next(step for step in run.steps if step.node == "ask")
        assert ask.output == {"approved": False, "by": ["Approver"], "reason": "No."}

    async def test_nobody_answers(self, runner: Worker) -> None:
        tenant = await make_tenant(NO_POLICY)
        _, run = await started(tenant, self.document(deadline_hours=1.5 / 3600))
        run = await wait_for(tenant.engineer, run.id, seconds=15)
        assert states(run) == ["succeeded", "succeeded", "skipped"]
        assert run.approvals[0].state == "expired"
        assert "approval_expired" in await actions_of(tenant)

    async def test_a_cancelled_question_is_asked_again_by_a_retry(self, runner: Worker) -> None:
        tenant = await make_tenant(NO_POLICY)
        _, run = await started(tenant, self.document())
        await runs.cancel(tenant.engineer, run.id)
        assert (await wait_for(tenant.engineer, run.id)).state == "cancelled"
        await runs.retry(tenant.engineer, run.id)
        asked = await wait_for_question(tenant.engineer, run.id, other_than=run.approvals[0].id)
        await approve(tenant.approver, asked)
        assert states(await wait_for(tenant.engineer, run.id)) == ["succeeded", "skipped", "succeeded"]


def states(run: RunView) -> list[str]:
    """The states of ask, no and yes."""
    assert run.state in OVER
    return [step.state for step in sorted(run.steps, key=lambda step: step.node)]
