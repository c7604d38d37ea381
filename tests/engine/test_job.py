"""The job itself, on real workers and simulators: plan, seal, approve, run, undo."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from app.core.errors import Missing
from app.data.vault import get_vault
from app.services import approvals, audit, reveals, runs
from connectors.testing import Sandbox
from tests.engine.kit import NO_POLICY, Tenant, Worker, chain, make_tenant, wait_for, waiting

INPUTS = {
    "type": "object",
    "properties": {"email": {"type": "string", "format": "email"}, "name": {"type": "string"}},
    "required": ["email", "name"],
}
ELODIE = {"email": "élodie.o'neil@sandbox.example", "name": "Élodie O'Neil"}
RENEE = {"email": "renee.darcy@sandbox.example", "name": "Renée d’Arcy"}
ONBOARD: dict[str, Any] = chain(
    "Onboard",
    {
        "id": "create",
        "type": "m365.user.create",
        "connection": "m365",
        "params": {
            "user_principal_name": "{{ inputs.email }}",
            "display_name": "{{ inputs.name }}",
            "department": "Engineering",
            "usage_location": "FR",
        },
    },
    {
        "id": "licence",
        "type": "m365.licence.assign",
        "connection": "m365",
        "params": {"user": "{{ steps.create.output.user_principal_name }}", "licences": ["FLOW_FREE"]},
    },
    {
        "id": "group",
        "type": "m365.group.add_member",
        "connection": "m365",
        "params": {"user": "{{ steps.create.output.user_principal_name }}", "groups": ["Engineering", "L'équipe"]},
    },
    {
        "id": "machine",
        "type": "aws.instance.run",
        "connection": "aws",
        "params": {"name": "ws-{{ inputs.name }}", "image": "workstation-*", "instance_type": "t3.small"},
    },
    inputs=INPUTS,
)
SUSPEND: dict[str, Any] = chain(
    "Suspend",
    {
        "id": "revoke",
        "type": "m365.user.revoke_sessions",
        "connection": "m365",
        "params": {"user": "{{ inputs.email }}"},
    },
    {"id": "disable", "type": "m365.user.disable", "connection": "m365", "params": {"user": "{{ inputs.email }}"}},
    {
        "id": "groups",
        "type": "m365.group.remove_member",
        "connection": "m365",
        "params": {"user": "{{ inputs.email }}", "all": True},
    },
    {
        "id": "licences",
        "type": "m365.licence.remove",
        "connection": "m365",
        "params": {"user": "{{ inputs.email }}", "all": True},
    },
    inputs={"type": "object", "properties": {"email": {"type": "string"}}, "required": ["email"]},
)


async def connected(policy: dict[str, Any], m365: Sandbox, aws: Sandbox) -> Tenant:
    tenant = await make_tenant(policy)
    await tenant.connect(m365)
    await tenant.connect(aws)
    m365.control.clear_log()
    aws.control.clear_log()
    return tenant


async def test_a_plan_writes_nothing_and_the_run_does_what_it_said(m365: Sandbox, aws: Sandbox, runner: Worker) -> None:
    tenant = await connected(NO_POLICY, m365, aws)
    flow = await tenant.publish(ONBOARD)
    before = m365.control.dump()
    plan_id = await runs.start(tenant.engineer, workflow=flow.id, mode="plan", inputs=RENEE)
    plan = await wait_for(tenant.engineer, plan_id)
    assert plan.state == "succeeded", plan.reason
    assert plan.summary["add"] >= 2
    assert m365.control.dump() == before
    assert not [write for write in m365.control.writes() + aws.control.writes() if write["changed"]]

    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", plan=plan_id)
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    assert run.seal == plan.seal
    planned = {step["node"]: step["change"] for step in plan.plan}
    for step in run.steps:
        assert step.change is not None
        volatile = set(step.change["volatile"])
        expected = {key: value for key, value in (planned[step.node]["after"] or {}).items() if key not in volatile}
        assert expected.items() <= (step.change["after"] or {}).items(), step.node
    assert [reveal.name for reveal in run.reveals] == ["password"]
    link = await reveals.create_link(tenant.owner, run.reveals[0].id)

    undo = await wait_for(tenant.engineer, await runs.undo(tenant.engineer, run_id))
    assert undo.state == "succeeded", (undo.reason, [(s.node, s.error) for s in undo.steps])
    assert without_traces(m365.control.dump()) == without_traces(before)
    await withdrawn(tenant, run_id, link.url)


async def withdrawn(tenant: Tenant, run_id: Any, url: str) -> None:
    """The password of an account that is gone is shown to nobody, and is kept nowhere."""
    for verb in (reveals.look, partial(reveals.open_link, ip=None)):
        with pytest.raises(Missing):
            await verb(url.rpartition("/")[2])
    with pytest.raises(Missing):
        await reveals.create_link(tenant.owner, (await runs.get(tenant.owner, run_id)).reveals[0].id)
    with pytest.raises(Missing):
        await get_vault("web").get_secret(tenant.client_id, f"run/{run_id}/create/password")
    found = await audit.list_events(tenant.owner, action="secret_withdrawn")
    assert [(event.details["run"], event.details["node"]) for event in found.events] == [(str(run_id), "create")]


def without_traces(dump: dict[str, Any]) -> dict[str, Any]:
    """A dump without what an undo says it leaves: the deleted account in the recycle bin."""
    return {
        **dump,
        "tenants": [
            {key: value for key, value in tenant.items() if key != "deletedItems"} for tenant in dump["tenants"]
        ]
        if isinstance(dump.get("tenants"), list)
        else dump.get("tenants"),
    }


async def test_a_suspension_is_undone_to_exactly_what_was(m365: Sandbox, aws: Sandbox, runner: Worker) -> None:
    tenant = await connected(NO_POLICY, m365, aws)
    flow = await tenant.publish(SUSPEND)
    before = m365.control.dump()
    run_id = await runs.start(
        tenant.engineer, workflow=flow.id, mode="apply", inputs={"email": "anna.berg@sandbox.example"}
    )
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", (run.reason, run.steps)
    assert m365.control.dump() != before
    undo = await wait_for(tenant.engineer, await runs.undo(tenant.engineer, run_id))
    assert undo.state == "succeeded", (undo.reason, [(s.node, s.error) for s in undo.steps])
    assert undo.left_behind == ("revoke",)
    after = m365.control.dump()
    assert without_sessions(after) == without_sessions(before)


def without_sessions(value: Any) -> Any:
    """A dump without the one thing that a suspension cannot give back: sessions that were ended."""
    if isinstance(value, dict):
        return {key: without_sessions(item) for key, item in value.items() if key != "signInSessionsValidFromDateTime"}
    return [without_sessions(item) for item in value] if isinstance(value, list) else value


APPROVAL = {"rules": [{"risk": "medium", "roles": ["approver"], "count": 1}]}


async def test_an_approved_plan_runs_and_a_moved_one_asks_again(m365: Sandbox, aws: Sandbox, runner: Worker) -> None:
    tenant = await connected(APPROVAL, m365, aws)
    flow = await tenant.publish(SUSPEND)
    email = "anna.berg@sandbox.example"
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"email": email})
    run = await waiting(tenant.engineer, run_id)
    assert run.state == "waiting", run.reason
    (asked,) = run.approvals
    m365.control.clear_log()
    # Somebody else takes a licence away meanwhile.
    elsewhere = await make_tenant(NO_POLICY)
    await elsewhere.connect(m365)
    other = await elsewhere.publish(
        chain(
            "Meddle",
            {
                "id": "take",
                "type": "m365.licence.remove",
                "connection": "m365",
                "params": {"user": email, "licences": ["VISIOCLIENT"]},
            },
        )
    )
    meddled = await wait_for(elsewhere.engineer, await runs.start(elsewhere.engineer, workflow=other.id, mode="apply"))
    assert meddled.state == "succeeded", meddled.reason
    m365.control.clear_log()
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    again = await wait_for_new_question(tenant, run_id, asked.id)
    assert [write for write in m365.control.writes() if write["changed"]] == []
    assert any(found["node"] == "licences" for found in again.differences), again.differences
    fresh = [approval for approval in again.approvals if approval.state == "open"]
    assert [approval.why for approval in fresh] == ["moved"]
    await approvals.decide(tenant.approver, fresh[0].id, decision="approve", seal=fresh[0].seal, mfa=True)
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"


async def wait_for_new_question(tenant: Tenant, run_id: Any, former: Any) -> Any:
    import asyncio

    for _ in range(400):
        run = await runs.get(tenant.engineer, run_id)
        if any(approval.state == "open" and approval.id != former for approval in run.approvals):
            return run
        assert run.state not in ("succeeded", "failed", "cancelled"), run.reason
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing was asked again: {run.state} {run.reason}")
