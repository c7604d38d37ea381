"""Steps that hold others, on real platforms: planned, sealed, run, killed in the middle, and undone."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from app.core.errors import Invalid
from app.services import approvals, runs, workflows
from connectors.testing import Sandbox
from tests.engine.kit import (
    NO_POLICY,
    Relay,
    Tenant,
    Worker,
    chain,
    changing,
    make_tenant,
    off_loop,
    wait_for,
    wait_for_question,
    wait_until,
)
from tests.servers import TestStack

Json = dict[str, Any]
PEOPLE = ["anna", "bea", "caro"]
LIST = {"type": "object", "properties": {"names": {"type": "array", "items": {"type": "string"}}}}
ASK_ALL: Json = {"rules": [{"risk": "low", "roles": ["approver"], "count": 1}]}


def create(name: str = "{{ item }}", node: str = "create", **more: Any) -> Json:
    params = {
        "user_principal_name": f"{name}@sandbox.example",
        "display_name": name,
        "usage_location": "FR",
    }
    return {"id": node, "type": "m365.user.create", "connection": "m365", "params": params, **more}


def noop(node: str, **more: Any) -> Json:
    return {"id": node, "type": "flow.noop", **more}


def holding(node: str, kind: str, params: Json, *steps: Json, **more: Any) -> Json:
    body = {key: value for key, value in chain("", *steps).items() if key != "name"}
    return {"id": node, "type": kind, "params": params, "body": body, **more}


def for_each(*steps: Json, items: Any = "{{ inputs.names }}", **params: Any) -> Json:
    return holding("each", "flow.for_each", {"items": items, **params}, *steps)


def user_path(m365: Sandbox, name: str) -> str:
    """What the paths of requests about a person match."""
    people = (item for tenant in m365.control.dump().values() for item in tenant["users"].items())
    (found,) = (user_id for user_id, user in people if user["userPrincipalName"] == name)
    return f"({found}|{name})"


async def tenant_with(m365: Sandbox, document: Json, policy: Json = NO_POLICY) -> tuple[Tenant, Any]:
    tenant = await make_tenant(policy)
    await tenant.connect(m365)
    flow = await tenant.publish(document)
    m365.control.clear_log()
    return tenant, flow


def states(run: Any) -> dict[str, str]:
    return {step.node: step.state for step in run.steps}


def outputs(run: Any) -> dict[str, Any]:
    return {step.node: step.output for step in run.steps}


async def test_each_item_is_planned_agreed_to_done_and_undone(m365: Sandbox, runner: Worker) -> None:
    document = chain(
        "Each", for_each(create(), result="steps.create.output.user_principal_name"), noop("after"), inputs=LIST
    )
    tenant, flow = await tenant_with(m365, document, ASK_ALL)
    before = m365.control.dump()
    plan_id = await runs.start(tenant.engineer, workflow=flow.id, mode="plan", inputs={"names": PEOPLE})
    plan = await wait_for(tenant.engineer, plan_id)
    created = [step for step in plan.plan if step["type"] == "m365.user.create"]
    assert [step["node"] for step in created] == ["each[0].create", "each[1].create", "each[2].create"]
    assert plan.summary["add"] == 3
    assert not m365.control.writes()

    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", plan=plan_id)
    asked = await wait_for_question(tenant.engineer, run_id)
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, run.reason) == ("succeeded", None)
    assert outputs(run)["each"]["results"] == [f"{name}@sandbox.example" for name in PEOPLE]
    assert outputs(run)["each"]["count"] == 3
    assert len(changing(m365)) == 3

    back = await runs.undo(tenant.engineer, run_id)
    asked = await wait_for_question(tenant.engineer, back)
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    assert (await wait_for(tenant.engineer, back)).state == "succeeded"
    assert m365.control.dump() == before


async def test_killed_between_items_none_is_lost_and_none_done_twice(m365: Sandbox, relay: Relay) -> None:
    names = [f"person{number}" for number in range(8)]
    document = chain("Each", for_each(create(), noop("then"), limit=2), inputs=LIST)
    tenant, flow = await tenant_with(m365, document)
    relay.runner  # noqa: B018 - it must live before the run starts
    m365.control.fault("slow", writes=True, seconds=0.3, times=None)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"names": names})
    await off_loop(wait_until, lambda: len(changing(m365)) >= 3, 30, "three accounts")
    await off_loop(relay.replace)
    run = await wait_for(tenant.engineer, run_id, seconds=60)
    assert (run.state, run.reason) == ("succeeded", None)
    made = changing(m365)
    assert len(made) == len(names)


async def test_a_collected_failure_lets_the_others_be_done(m365: Sandbox, runner: Worker) -> None:
    disable = {"id": "disable", "type": "m365.user.disable", "connection": "m365", "params": {"user": "{{ item }}"}}
    document = chain("Each", for_each(disable, on_item_error="collect", limit=1), noop("after"), inputs=LIST)
    tenant, flow = await tenant_with(m365, document)
    names = ["liam.o'connor@sandbox.example", "nobody@sandbox.example"]
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"names": names})
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    assert states(run)["each[1].disable"] == "failed"
    failed = outputs(run)["each"]["failed"]
    assert [(one["index"], one["error"]["step"]) for one in failed] == [(1, "each[1].disable")]
    assert len(changing(m365)) == 1


async def test_a_failing_item_fails_the_run_before_anything_is_written(m365: Sandbox, runner: Worker) -> None:
    disable = {"id": "disable", "type": "m365.user.disable", "connection": "m365", "params": {"user": "{{ item }}"}}
    tenant, flow = await tenant_with(m365, chain("Each", for_each(disable), inputs=LIST))
    names = ["liam.o'connor@sandbox.example", "nobody@sandbox.example"]
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"names": names})
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, run.reason["node"], run.reason["phase"]) == ("failed", "each[1].disable", "plan")
    assert not changing(m365)


async def test_a_list_beyond_all_bounds_is_refused_before_anything_is_laid_out(runner: Worker) -> None:
    """As many as inputs can hold; an input of a million items is refused itself (tests/unit/services)."""
    tenant = await make_tenant(NO_POLICY)
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    parts = {"id": "many", "type": "flow.transform", "params": {"values": {"parts": "{{ inputs.text.split(',') }}"}}}
    each = for_each(noop("inside"), items="{{ steps.many.output.parts }}")
    flow = await tenant.publish(chain("Endless", parts, each, inputs=schema))
    inputs = {"text": ",".join("x" * 30_000)}
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs=inputs)
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, run.reason["code"], run.reason["node"]) == ("failed", "too_many_items", "each")
    assert run.reason["phase"] == "plan"
    assert run.steps == () or all(step.state != "succeeded" for step in run.steps)
    most = {"text": ",".join("x" * 490_000)}
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs=most)
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, run.reason["phase"]) == ("failed", "plan")
    assert run.reason["code"] in ("too_many_items", "expression_too_costly", "output_too_big")


async def test_one_failed_item_is_tried_again_by_its_name(m365: Sandbox, runner: Worker) -> None:
    document = chain("Each", for_each(create(), limit=1), inputs=LIST)
    tenant, flow = await tenant_with(m365, document)
    m365.control.fault("error", writes=True, status=400, code="Request_BadRequest")
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"names": PEOPLE})
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, run.reason["step"]) == ("failed", "each[0].create")
    assert states(run)["each[1].create"] == "cancelled"
    await runs.retry(tenant.engineer, run_id, nodes=["each[0].create"])
    run = await wait_for(tenant.engineer, run_id, ("succeeded",))
    assert len(changing(m365)) == len(PEOPLE)


async def test_an_item_in_hand_when_another_failed_goes_on_when_the_run_is_tried_again(
    m365: Sandbox, runner: Worker
) -> None:
    names = ["zoe@sandbox.example", "liam.o'connor@sandbox.example"]
    disable = {"id": "disable", "type": "m365.user.disable", "connection": "m365", "params": {"user": "{{ item }}"}}
    tenant, flow = await tenant_with(m365, chain("Each", for_each(disable, noop("then"), limit=2), inputs=LIST))
    m365.control.fault("error", writes=True, status=400, code="Request_BadRequest", path=user_path(m365, names[0]))
    m365.control.fault("timeout", writes=True, when="after", seconds=120, path=user_path(m365, names[1]))
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"names": names})
    await off_loop(wait_until, lambda: all(f["done"] for f in m365.control.faults()), 30, "one refused and one held")
    m365.control.clear_faults()  # its answer is lost, and what it did is found
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, run.reason["step"]) == ("failed", "each[0].disable")
    assert (states(run)["each[1].disable"], states(run)["each[1].then"]) == ("succeeded", "cancelled")
    await runs.retry(tenant.engineer, run_id)
    run = await wait_for(tenant.engineer, run_id, ("succeeded",))
    assert (states(run)["each[0].then"], states(run)["each[1].then"]) == ("succeeded", "succeeded")
    assert len(changing(m365)) == 2


# How much an item gives is known to the run alone: a plan does not know the run's id.
SHARE = {"id": "share", "type": "flow.transform", "params": {"values": {"each": "{{ size(run.id) / item }}"}}}


@pytest.mark.parametrize("items", [[1, 0], [0, 1]], ids=["after it", "before it"])
async def test_an_item_that_fails_beside_others_is_what_the_workflow_goes_on_about(
    items: list[int], runner: Worker
) -> None:
    """All of them are worked out at the same moment, and one of them stops the others."""
    each = {**for_each(SHARE, items=items), "on_error": "branch"}
    document = chain("Beside", {**each, "_port": "error"}, noop("after"))
    run = await ended(document)
    assert (run.state, states(run)["after"]) == ("succeeded", "succeeded")
    (failed,) = (step for step in run.steps if step.node == "each")
    assert (failed.state, failed.error["step"]) == ("failed", f"each[{items.index(0)}].share")
    assert states(run)[f"each[{items.index(1)}].share"] in ("cancelled", "succeeded")


async def test_a_list_that_only_the_run_brings_is_planned_as_one(m365: Sandbox, runner: Worker) -> None:
    later = for_each(
        {
            "id": "disable",
            "type": "m365.user.disable",
            "connection": "m365",
            "params": {"user": "{{ item }}"},
        },
        items="{{ [steps.first.output.id] }}",
    )
    tenant, flow = await tenant_with(m365, chain("Later", create("anna", "first"), later), ASK_ALL)
    plan_id = await runs.start(tenant.engineer, workflow=flow.id, mode="plan")
    plan = await wait_for(tenant.engineer, plan_id)
    assert [(step["node"], step["maybe"]) for step in plan.plan][-1] == ("each[?].disable", True)
    assert plan.summary["unknown"] == 1
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", plan=plan_id)
    asked = await wait_for_question(tenant.engineer, run_id)
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, states(run)["each[0].disable"]) == ("succeeded", "succeeded")


async def test_rounds_until_it_is_enough(m365: Sandbox, runner: Worker) -> None:
    params = {"until": "index == 2", "max_rounds": 5, "result": "steps.look.output.value"}
    look = {"id": "look", "type": "flow.transform", "params": {"values": {"value": "{{ index * 10 }}"}}}
    enough = holding("enough", "flow.repeat_until", params, look)
    never = holding("never", "flow.repeat_until", {"until": "false", "max_rounds": 3}, noop("again"))
    document = {
        **chain("Rounds", enough, never, noop("gave_up")),
        "edges": [
            {"source": "enough", "target": "never"},
            {"source": "never", "target": "gave_up", "port": "exhausted"},
        ],
    }
    tenant, flow = await tenant_with(m365, document)
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
    assert run.state == "succeeded", run.reason
    assert outputs(run)["enough"] == {"rounds": 3, "met": True, "result": 20}
    assert outputs(run)["never"] == {"rounds": 3, "met": False, "result": None}
    assert states(run)["gave_up"] == "succeeded"


async def test_a_sub_workflow_runs_the_version_that_was_pinned(m365: Sandbox, runner: Worker) -> None:
    inputs = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    inner = chain("Inner", create("{{ inputs.name }}"), inputs=inputs)
    call = {"workflow": "Inner", "inputs": {"name": "anna"}, "result": "steps.create.output.user_principal_name"}
    outer = chain(
        "Outer",
        {"id": "sub", "type": "flow.workflow", "params": call},
        {"id": "tell", "type": "flow.log", "params": {"message": "{{ string(steps.sub.output.result) }}"}},
    )
    tenant, _ = await tenant_with(m365, inner)
    flow = await tenant.publish(outer)
    changed = await tenant.publish(chain("Inner", noop("nothing"), inputs=inputs))
    assert changed.version == 2
    before = m365.control.dump()
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    assert states(run)["sub[0].create"] == "succeeded"
    assert outputs(run)["sub"] == {"result": "anna@sandbox.example"}
    back = await runs.undo(tenant.engineer, run_id)
    assert (await wait_for(tenant.engineer, back)).state == "succeeded"
    assert m365.control.dump() == before


async def test_a_sub_workflow_that_is_not_there_is_said_while_drawing(m365: Sandbox) -> None:
    tenant = await make_tenant()
    document = chain("Outer", {"id": "sub", "type": "flow.workflow", "params": {"workflow": "Nobody"}})
    found = await workflows.validate(tenant.engineer, document)
    assert [(problem.code, problem.node, problem.field) for problem in found] == [
        ("no_workflow", "sub", "params.workflow")
    ]
    with pytest.raises(Invalid):
        await tenant.publish(document)


async def test_inputs_of_a_sub_workflow_are_checked(m365: Sandbox, runner: Worker) -> None:
    inputs = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    tenant, _ = await tenant_with(m365, chain("Inner", noop("nothing"), inputs=inputs))
    flow = await tenant.publish(chain("Outer", {"id": "sub", "type": "flow.workflow", "params": {"workflow": "Inner"}}))
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
    assert (run.state, run.reason["node"], run.reason["code"]) == ("failed", "sub", "missing_field")


async def test_a_question_for_one_item_holds_up_no_other(m365: Sandbox, runner: Worker) -> None:
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "{{ item }}?"}}
    document = chain("Ask", for_each({**ask, "_port": "approved"}, noop("then")), inputs=LIST)
    tenant, flow = await tenant_with(m365, document)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"names": ["a", "b"]})
    first = await wait_for_question(tenant.engineer, run_id, node="each[0].ask")
    second = await wait_for_question(tenant.engineer, run_id, node="each[1].ask")
    assert (first.title, second.title) == ("a?", "b?")
    for asked in (second, first):
        await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"


CHOSEN = {"id": "chosen", "type": "flow.condition", "params": {"expression": "item != 'bea'"}, "_port": "true"}
GIVES = {"id": "gives", "type": "flow.transform", "params": {"values": {"name": "{{ item }}"}}}


async def ended(document: Json, inputs: Json | None = None) -> Any:
    """The run of a workflow that needs no platform, once it is over."""
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(document)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs=inputs)
    return await wait_for(tenant.engineer, run_id)


@pytest.mark.parametrize("on_item_error", ["stop", "collect"])
async def test_an_item_that_skipped_the_step_of_the_result_gives_null(on_item_error: str, runner: Worker) -> None:
    each = for_each(CHOSEN, GIVES, result="steps.gives.output.name", on_item_error=on_item_error)
    run = await ended(chain("Skipped", each, inputs=LIST), {"names": PEOPLE})
    assert (run.state, run.reason) == ("succeeded", None)
    assert outputs(run)["each"] == {"results": ["anna", None, "caro"], "failed": [], "count": 3}


async def test_a_result_that_cannot_be_worked_out_is_collected(runner: Worker) -> None:
    each = for_each(GIVES, result="int(steps.gives.output.name)", on_item_error="collect")
    run = await ended(chain("Collected", each, inputs=LIST), {"names": ["7", "bea"]})
    assert (run.state, run.reason) == ("succeeded", None)
    assert outputs(run)["each"]["results"] == [7, None]
    (failed,) = outputs(run)["each"]["failed"]
    assert (failed["index"], failed["error"]["remedy"]) == (1, "Rejected")


async def test_what_a_later_rule_refuses_still_runs_where_it_is_stored(web: TestStack, runner: Worker) -> None:
    document = chain("Stored", for_each(noop("in")), noop("after"), inputs=LIST)
    tenant = await make_tenant(NO_POLICY)
    idle = {"timeout_s": 60, "retry": {"attempts": 3}}
    with pytest.raises(Invalid) as refused:
        await tenant.publish({**document, "nodes": [{**document["nodes"][0], **idle}, document["nodes"][1]]})
    assert {(one.code, one.field) for one in refused.value.problems} == {
        ("retry_without_effect", "retry"),
        ("timeout_without_effect", "timeout_s"),
    }
    flow = await tenant.publish(document)
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        settings = "document = jsonb_set(document, '{nodes,0}', document #> '{nodes,0}' || %s::jsonb)"
        link.execute(f"UPDATE workflow_versions SET {settings} WHERE workflow_id = %s", (json.dumps(idle), flow.id))
    assert (await workflows.publish(tenant.engineer, flow.id, version=flow.version)).document["nodes"][0]["timeout_s"]
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"names": PEOPLE})
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"
