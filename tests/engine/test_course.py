"""The course of a run: cancelled in a call, tried again, led on by an error; throttled, refused, answers lost."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from app.core.errors import Invalid, Stale
from app.services import approvals, forms, runs
from connectors.testing import Sandbox
from tests.engine.kit import (
    NO_POLICY,
    OVER,
    Tenant,
    Worker,
    chain,
    changing,
    make_tenant,
    off_loop,
    only_step,
    wait_for,
    wait_for_steps,
    wait_until,
)
from tests.servers import TestStack

Json = dict[str, Any]
LIAM = "liam.o'connor@sandbox.example"
RENEE = {"user_principal_name": "renee@sandbox.example", "display_name": "Renée", "usage_location": "FR"}


def disable(node: str = "step", **more: Any) -> Json:
    return {"id": node, "type": "m365.user.disable", "connection": "m365", "params": {"user": LIAM}, **more}


def noop(node: str) -> Json:
    return {"id": node, "type": "flow.noop"}


async def begun(m365: Sandbox, document: Json) -> tuple[Tenant, Any]:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    flow = await tenant.publish(document)
    m365.control.clear_log()
    return tenant, await runs.start(tenant.engineer, workflow=flow.id, mode="apply")


def pause(node: str) -> Json:
    """Between a run's plan and its first write: long enough to arrange what the platform does to the write."""
    return {"id": node, "type": "flow.wait", "params": {"amount": 3, "unit": "seconds"}}


def states(run: Any) -> dict[str, str]:
    return {step.node: step.state for step in run.steps}


async def waiting_at(tenant: Tenant, run_id: Any, node: str) -> None:
    async with asyncio.timeout(20):
        while True:
            if states(await runs.get(tenant.engineer, run_id)).get(node) == "waiting":
                return
            await asyncio.sleep(0.05)


async def test_cancelled_in_a_long_call_it_finishes_the_call_and_nothing_more(m365: Sandbox, runner: Worker) -> None:
    m365.control.fault("slow", writes=True, seconds=2.5)
    tenant, run_id = await begun(m365, chain("Long", disable("first"), noop("second"), disable("third")))
    await off_loop(wait_until, m365.control.writes, 20, "the write to arrive")
    await runs.cancel(tenant.engineer, run_id)
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "cancelled"
    assert states(run) == {"first": "succeeded", "second": "cancelled", "third": "cancelled"}
    assert len(changing(m365)) == 1


async def test_cancelled_while_another_branch_still_plans_its_write(m365: Sandbox, runner: Worker) -> None:
    """A branch that has only looked so far writes nothing once the run is to stop."""
    document = {
        "schema": "opsloom/workflow@1",
        "name": "Branches",
        "nodes": [
            pause("start"),
            disable("slow"),
            {"id": "create", "type": "m365.user.create", "connection": "m365", "params": RENEE},
        ],
        "edges": [{"source": "start", "target": "slow"}, {"source": "start", "target": "create"}],
    }
    tenant, run_id = await begun(m365, document)
    # The run's own plan has read by now, so the slow answers are those to the look before the write.
    await waiting_at(tenant, run_id, "start")
    m365.control.fault("slow", writes=True, seconds=9, operation="PATCH")
    m365.control.fault("slow", writes=False, seconds=7, path="(?i)renee", times=None)
    await off_loop(wait_until, m365.control.writes, 20, "the first branch to write")
    await runs.cancel(tenant.engineer, run_id)
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "cancelled"
    assert states(run) == {"start": "succeeded", "slow": "succeeded", "create": "cancelled"}
    assert len(changing(m365)) == 1


async def test_what_came_of_one_branch_is_seen_while_another_is_in_a_long_call(m365: Sandbox, runner: Worker) -> None:
    """It goes with the next commit; but there is none before the call has ended."""
    look = {"id": "look", "type": "m365.user.get", "connection": "m365", "on_error": "continue"}
    look["params"] = {"user": "{{ run.id != '' ? 'nobody@sandbox.example' : '' }}"}  # not known to the plan
    document = chain("Beside", noop("start"), disable())
    document["nodes"].append(look)
    document["edges"].append({"source": "start", "target": "look", "port": "next"})
    m365.control.fault("timeout", writes=True, when="after", seconds=120)
    m365.control.fault("slow", path="(?i)nobody", seconds=1)
    tenant, run_id = await begun(m365, document)
    await wait_for_steps(tenant.engineer, run_id, {"start": "succeeded", "step": "running", "look": "failed"})
    m365.control.clear_faults()
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"


async def test_an_outcome_is_awaited_as_long_as_one_likes(m365: Sandbox, runner: Worker) -> None:
    tenant, run_id = await begun(m365, chain("Awaited", pause("wait"), noop("after")))
    assert (await runs.outcome(tenant.engineer, run_id, 0)).state not in OVER
    assert (await runs.outcome(tenant.engineer, run_id, 60)).state == "succeeded"
    assert (await runs.outcome(tenant.engineer, run_id, 60)).state == "succeeded", "it was over before"


async def test_a_failed_run_is_tried_again_where_it_failed(m365: Sandbox, runner: Worker) -> None:
    m365.control.fault("error", writes=True, status=400, code="Request_BadRequest")
    tenant, run_id = await begun(m365, chain("Again", noop("before"), disable(), noop("after")))
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, states(run)["step"]) == ("failed", "failed")
    await runs.retry(tenant.engineer, run_id)
    run = await wait_for(tenant.engineer, run_id, ("succeeded",))
    assert set(states(run).values()) == {"succeeded"}
    assert len(changing(m365)) == 1


async def test_tries_that_fail_before_anything_is_sent_are_counted(m365: Sandbox, runner: Worker) -> None:
    """The run's own plan went well; from the look before the write on, the platform cannot be read."""
    retry = {"attempts": 3, "delay_s": 0.1}
    tenant, run_id = await begun(m365, chain("Unread", pause("wait"), disable(retry=retry)))
    await waiting_at(tenant, run_id, "wait")
    m365.control.fault("error", writes=False, times=None)
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, run.reason and run.reason["node"]) == ("failed", "step")
    assert {step.node: step.attempt for step in run.steps}["step"] == 3, run.reason
    assert not m365.control.writes()


async def test_a_retry_of_what_is_not_there_is_refused(m365: Sandbox, runner: Worker) -> None:
    m365.control.fault("error", writes=True, status=400, code="Request_BadRequest")
    tenant, run_id = await begun(m365, chain("Again", noop("before"), disable()))
    await wait_for(tenant.engineer, run_id)
    with pytest.raises(Invalid) as caught:
        await runs.retry(tenant.engineer, run_id, nodes=["step", "no_such_step"])
    assert [problem.params for problem in caught.value.problems] == [{"step": "no_such_step"}]
    assert (await runs.get(tenant.engineer, run_id)).state == "failed", "nothing was asked of it"
    with pytest.raises(Invalid, match="before did not stop the run"):
        await runs.retry(tenant.engineer, run_id, nodes=["before"])
    await runs.retry(tenant.engineer, run_id, nodes=["step"])
    assert (await wait_for(tenant.engineer, run_id, ("succeeded",))).state == "succeeded"


async def test_a_step_that_was_given_up_is_tried_again_with_the_one_that_failed(m365: Sandbox, runner: Worker) -> None:
    """By itself it could never begin: the run would wait for nothing."""
    steps = [disable(), noop("then")]
    body = {key: value for key, value in chain("", *steps).items() if key in ("nodes", "edges")}
    each = {"id": "each", "type": "flow.for_each", "params": {"items": [1, 2], "limit": 1}, "body": body}
    m365.control.fault("error", writes=True, status=400, code="Request_BadRequest")
    tenant, run_id = await begun(m365, chain("Two", each))
    await wait_for(tenant.engineer, run_id)
    with pytest.raises(Invalid) as caught:
        await runs.retry(tenant.engineer, run_id, nodes=["each[0].then"])
    assert (caught.value.code, caught.value.params) == ("retry_together", {"step": "each[0].step"})
    await runs.retry(tenant.engineer, run_id, nodes=["each[0].step", "each[0].then"])
    assert (await wait_for(tenant.engineer, run_id, ("succeeded",))).state == "succeeded"


@pytest.mark.parametrize(
    ("on_error", "after", "rescue"), [("continue", "succeeded", None), ("branch", "skipped", "succeeded")]
)
async def test_an_error_leads_on(on_error: str, after: str, rescue: str | None, m365: Sandbox, runner: Worker) -> None:
    m365.control.fault("error", writes=True, status=400, code="Request_BadRequest")
    document = chain("Leads on", disable(on_error=on_error), noop("after"))
    if rescue:
        document["nodes"].append(noop("rescue"))
        document["edges"].append({"source": "step", "target": "rescue", "port": "error"})
    tenant, run_id = await begun(m365, document)
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    assert states(run) == {"step": "failed", "after": after, **({"rescue": rescue} if rescue else {})}


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "throttle", "retry_after": 1, "times": 2},
        {"kind": "error", "status": 503, "times": 1},
    ],
)
async def test_a_passing_refusal_is_waited_out(fault: Json, m365: Sandbox, runner: Worker) -> None:
    m365.control.fault(writes=True, **fault)
    tenant, run_id = await begun(m365, only_step("m365.user.create", RENEE, retry={"attempts": 4, "delay_s": 0.2}))
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    assert len(changing(m365)) == 1


@pytest.mark.parametrize("kind", ["drop", "timeout"])
@pytest.mark.parametrize("when", ["after", "before"])
async def test_a_lost_answer_is_found_and_the_work_is_done_once(
    kind: str, when: str, m365: Sandbox, runner: Worker, stack: TestStack
) -> None:
    m365.control.fault(kind, writes=True, when=when, seconds=30)
    retry = {"attempts": 3, "delay_s": 0.2}
    tenant, run_id = await begun(m365, only_step("m365.user.create", RENEE, timeout_s=2, retry=retry))
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", (run.reason, run.steps)
    assert run.steps[0].adopted == (when == "after")
    assert len(changing(m365)) == 1
    keys = intended_keys(stack, run_id)
    assert len(keys) == (2 if when == "before" else 1)
    assert len(set(keys)) == 1, "every try has one key: the platform itself refuses what comes a second time"


def intended_keys(stack: TestStack, run_id: Any) -> list[str]:
    """The attempt keys of the run's only step, in order."""
    with psycopg.connect(stack.superuser_dsn) as link:
        found = link.execute(
            "SELECT payload ->> 'key' FROM step_events WHERE run_id = %s AND kind = 'intended' ORDER BY seq",
            (run_id,),
        )
        return [row[0] for row in found.fetchall()]


async def test_several_writes_cut_off_in_the_middle_are_finished_as_agreed(m365: Sandbox, runner: Worker) -> None:
    """The first of two memberships is given, its answer is lost: the second follows, and both can be taken back."""
    groups = {"user": "zoe@sandbox.example", "groups": ["Sales", "L'équipe"]}
    before = m365.control.dump()
    m365.control.fault("drop", writes=True)
    retry = {"attempts": 3, "delay_s": 0.2}
    tenant, run_id = await begun(m365, only_step("m365.group.add_member", groups, retry=retry))
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    assert len(changing(m365)) == 2
    assert run.steps[0].change
    assert run.steps[0].change["before"] == {"Sales": False, "L'équipe": False}
    undo = await wait_for(tenant.engineer, await runs.undo(tenant.engineer, run_id))
    assert undo.state == "succeeded"
    assert m365.control.dump() == before


async def test_a_platform_that_cannot_be_asked_is_not_written_to_again(m365: Sandbox, runner: Worker) -> None:
    """After a lost answer every look is refused for a while: nothing is written before it is known what was done."""
    m365.control.fault("drop", writes=True)
    tenant, run_id = await begun(m365, only_step("m365.user.create", RENEE))
    await off_loop(m365.control.wait_for_write, "", seconds=20)
    fault = m365.control.fault("error", writes=False, status=503, times=None)
    await asyncio.sleep(4)
    assert len(m365.control.writes()) == 1
    m365.control._call("DELETE", f"faults/{fault}")
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    assert run.steps[0].adopted
    assert len(changing(m365)) == 1


async def test_what_nobody_can_tell_is_asked_of_a_person(m365: Sandbox, runner: Worker) -> None:
    """The account is made, and its mark is gone before anybody looks: is it ours?"""
    m365.control.fault("timeout", writes=True, seconds=12)
    tenant, run_id = await begun(m365, chain("Settle", only_step("m365.user.create", RENEE)["nodes"][0], noop("after")))
    await off_loop(m365.control.wait_for_write, "", seconds=20)
    await strip_mark(m365)
    m365.control.clear_faults()
    run = await wait_for(tenant.engineer, run_id, ("waiting", "failed", "succeeded"))
    assert (run.state, run.reason and run.reason["code"]) == ("waiting", "unknown"), run.reason
    assert states(run)["step"] == "unknown"
    await runs.settle(tenant.engineer, run_id, node="step", outcome="done")
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, states(run)["after"]) == ("succeeded", "succeeded")
    assert changing(m365) == [], "nothing was written any more"


async def test_what_nobody_can_tell_is_not_done_again_when_the_run_is_tried_again(
    m365: Sandbox, runner: Worker
) -> None:
    m365.control.fault("timeout", writes=True, seconds=12)
    tenant, run_id = await begun(m365, chain("Again", only_step("m365.user.create", RENEE)["nodes"][0], noop("after")))
    await off_loop(m365.control.wait_for_write, "", seconds=20)
    await strip_mark(m365)
    m365.control.clear_faults()
    await wait_for(tenant.engineer, run_id, ("waiting", "failed", "succeeded"))
    await runs.cancel(tenant.engineer, run_id)
    assert states(await wait_for(tenant.engineer, run_id))["step"] == "unknown"
    with pytest.raises(Stale) as refused:
        await runs.again(tenant.engineer, run_id, nodes=["after"], mode="apply")
    assert (refused.value.code, refused.value.params) == ("unknown_before", {"step": "step"})
    await runs.retry(tenant.engineer, run_id)
    run = await wait_for(tenant.engineer, run_id, ("waiting", "failed", "succeeded"))
    assert (run.state, run.reason and run.reason["code"]) == ("waiting", "unknown"), run.reason
    await runs.settle(tenant.engineer, run_id, node="step", outcome="not_done")
    assert (await wait_for(tenant.engineer, run_id)).state == "failed"
    assert changing(m365) == [], "nothing was written any more"


async def strip_mark(m365: Sandbox) -> None:
    """Somebody deletes the account and makes it anew by hand."""
    other = await make_tenant(NO_POLICY)
    await other.connect(m365)
    gone = only_step("m365.user.delete", {"user": RENEE["user_principal_name"]})
    flow = await other.publish(gone)
    run_id = await runs.start(other.engineer, workflow=flow.id, mode="apply")
    run = await wait_for(other.engineer, run_id)
    assert run.state == "succeeded", run.reason
    flow = await other.publish(only_step("m365.user.create", RENEE))
    run = await wait_for(other.engineer, await runs.start(other.engineer, workflow=flow.id, mode="apply"))
    assert run.state == "succeeded", run.reason
    m365.control.clear_log()


async def test_a_run_that_no_walk_survives_fails_instead_of_going_round(stack: TestStack, runner: Worker) -> None:
    """Its history is broken: a success is recorded twice."""
    tenant = await make_tenant(NO_POLICY)
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
    fill = {
        "id": "fill",
        "type": "flow.form",
        "params": {"title": "What?", "fields": {"properties": {"a": {"type": "string"}}}},
    }
    document = chain("Poison", noop("a"), ask, noop("b"))
    document["nodes"].append(fill)
    document["edges"].append({"source": "a", "target": "fill", "port": "next"})
    flow = await tenant.publish(document)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    await wait_for(tenant.engineer, run_id, ("waiting",))
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        link.execute(
            "INSERT INTO step_events (client_id, run_id, seq, node, kind, attempt, payload)"
            " SELECT client_id, run_id, seq + 100, node, kind, attempt, payload FROM step_events"
            " WHERE run_id = %s AND node = 'a' ORDER BY seq DESC LIMIT 1",
            (run_id,),
        )
        link.execute("UPDATE runs SET extra = extra || '{\"faults\": 2}' WHERE id = %s", (run_id,))
    await runs.cancel(tenant.engineer, run_id)
    async with asyncio.timeout(30):
        while True:
            with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
                row = link.execute("SELECT state, reason ->> 'code' FROM runs WHERE id = %s", (run_id,)).fetchone()
            if row == ("failed", "internal"):
                break
            await asyncio.sleep(0.2)
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        assert link.execute("SELECT count(*) FROM run_queue WHERE run_id = %s", (run_id,)).fetchone() == (0,)
    # Nobody is asked about it any more.
    asked = [one.state for one in await approvals.list_approvals(tenant.approver, state=None)]
    asked += [one.state for one in await forms.list_forms(tenant.engineer, state=None)]
    assert asked == ["void", "void"]


@pytest.mark.parametrize(("kind", "params"), [("m365.user.get", {"user": LIAM}), ("m365.user.disable", {"user": LIAM})])
async def test_a_plan_awaits_a_platform_no_longer_than_the_step_may_take(
    m365: Sandbox, runner: Worker, kind: str, params: Json
) -> None:
    node = {"id": "step", "type": kind, "connection": "m365", "params": params}
    node |= {"timeout_s": 0.5, "retry": {"attempts": 1}}
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    flow = await tenant.publish(chain("Slow", node))
    m365.control.fault("slow", writes=False, seconds=8, path="(?i)liam", times=None)
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="plan"))
    assert (run.state, run.reason and run.reason["code"]) == ("failed", "timeout")


@pytest.mark.parametrize(
    "node",
    [
        {"type": "flow.condition", "params": {"expression": "int(inputs.age) > 17"}},
        {"type": "flow.wait", "params": {"mode": "moment", "moment": "{{ inputs.age }}"}},
    ],
    ids=["condition", "wait"],
)
async def test_a_flow_step_is_tried_again_as_what_it_is(node: Json, runner: Worker) -> None:
    retry = {"attempts": 3, "delay_s": 0.05, "on": ["Rejected"]}
    ages = {"type": "object", "properties": {"age": {"type": "string"}}}
    step = {"id": "step", **node, "retry": retry, "on_error": "branch"}
    document = chain("Tried again", step | {"_port": "error"}, noop("after"), inputs=ages)
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(document)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", inputs={"age": ""})
    run = await wait_for(tenant.engineer, run_id)
    tried = next(each for each in run.steps if each.node == "step")
    assert (tried.state, tried.attempt) == ("failed", 3), tried.error
    assert {event["error"]["code"] for event in tried.attempts} == {tried.error["code"]}
    assert tried.error["code"] != "internal"
