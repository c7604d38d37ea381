"""What a run asks people in the middle: forms filled in, expired, reminded of, withdrawn; approvals of named people."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.core.context import Context
from app.core.errors import Forbidden, Invalid, Missing, Stale
from app.services import approvals, audit, clients, forms, runs
from app.services.run_views import FormView, RunView
from connectors.testing import Sandbox
from tests.engine.kit import (
    NO_POLICY,
    OVER,
    Relay,
    Tenant,
    Worker,
    chain,
    make_tenant,
    wait_for,
    wait_for_question,
    wait_for_steps,
    waiting,
)
from tests.servers import TestStack

Json = dict[str, Any]
LIAM = "liam.o'connor@sandbox.example"
FIELDS = {
    "type": "object",
    "properties": {
        "department": {"type": "string", "enum": ["Legal", "Sales"]},
        "seats": {"type": "integer", "minimum": 1},
        "note": {"type": "string"},
    },
    "required": ["department", "seats"],
}
NOOP = {"id": "after", "type": "flow.noop"}
HOUR = 3600


def form(**params: Any) -> Json:
    return {"id": "ask", "type": "flow.form", "params": {"title": "Which department?", "fields": FIELDS, **params}}


def ask(**params: Any) -> Json:
    return {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?", **params}, "_port": "approved"}


def with_way(document: Json, port: str) -> Json:
    document["nodes"].append({"id": "late", "type": "flow.noop"})
    document["edges"].append({"source": "ask", "target": "late", "port": port})
    return document


async def started(document: Json, policy: Json | None = None, m365: Sandbox | None = None) -> tuple[Tenant, RunView]:
    tenant = await make_tenant(policy or NO_POLICY)
    if m365:
        await tenant.connect(m365)
    flow = await tenant.publish(document)
    return tenant, await waiting(tenant.engineer, await runs.start(tenant.owner, workflow=flow.id, mode="apply"))


async def the_form(tenant: Tenant, run_id: UUID) -> FormView:
    (found,) = (await runs.get(tenant.engineer, run_id)).forms
    return found


def states(run: RunView) -> dict[str, str]:
    return {step.node: step.state for step in run.steps}


def output(run: RunView, node: str = "ask") -> Any:
    return next(step.output for step in run.steps if step.node == node)


def bring_forward(stack: TestStack, run_id: UUID, seconds: float) -> None:
    """Let ``seconds`` have gone by for what the run has asked."""
    moved = f"interval '{seconds} seconds'"
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        for table in ("forms", "approvals"):
            link.execute(
                f"UPDATE {table} SET deadline = deadline - {moved}, remind_at = remind_at - {moved} WHERE run_id = %s",
                (run_id,),
            )
        link.execute(f"UPDATE run_queue SET ready_at = ready_at - {moved} WHERE run_id = %s", (run_id,))


async def told(ctx: Context, action: str) -> list[Any]:
    return [event for event in (await audit.list_events(ctx)).events if event.action == action]


async def until_told(ctx: Context, action: str) -> list[Any]:
    """The events of this name as soon as there are some. Raises AssertionError."""
    until = time.monotonic() + 30
    while True:
        if found := await told(ctx, action):
            return found
        assert time.monotonic() < until, f"nobody was told of {action}"
        await asyncio.sleep(0.05)


async def test_what_was_filled_in_is_the_output(m365: Sandbox, relay: Relay) -> None:
    """The worker dies while it waits; the answer is a later step's parameter."""
    relay.runner  # noqa: B018 - starts the one that is to die
    update = {"user": LIAM, "department": "{{ steps.ask.output.department }}"}
    write = {"id": "write", "type": "m365.user.update", "connection": "m365", "params": update}
    tenant, run = await started(chain("Form", form(), write), m365=m365)
    assert (run.state, run.reason and run.reason["code"], run.reason and run.reason["node"]) == (
        "waiting",
        "form",
        "ask",
    )
    assert next(step for step in run.steps if step.node == "ask").waiting_for["roles"] == ["engineer"]
    relay.replace()
    asked = await the_form(tenant, run.id)
    assert (asked.state, asked.fields) == ("open", FIELDS)
    said = await forms.answer(tenant.engineer, asked.id, answer={"department": "Legal", "seats": 2})
    assert (said.state, said.answered_by, said.may_answer) == ("answered", "Engineer", False)
    run = await wait_for(tenant.engineer, run.id)
    assert run.state == "succeeded", run.reason
    assert output(run) == {"department": "Legal", "seats": 2, "note": None}
    assert next(step for step in run.steps if step.node == "write").change["after"]["department"] == "Legal"
    assert len(await told(tenant.owner, "form_answered")) == 1


async def test_a_wrong_answer_names_its_fields_and_changes_nothing(runner: Worker) -> None:
    tenant, run = await started(chain("Wrong", form(), NOOP))
    asked = await the_form(tenant, run.id)
    wrong = {"department": "Kitchen", "seats": 0, "other": 1}
    with pytest.raises(Invalid) as refused:
        await forms.answer(tenant.engineer, asked.id, answer=wrong)
    assert {problem.field for problem in refused.value.problems} == {
        "answer.department",
        "answer.seats",
        "answer.other",
    }
    with pytest.raises(Invalid) as missing:
        await forms.answer(tenant.engineer, asked.id, answer={"department": "Legal"})
    assert [problem.field for problem in missing.value.problems] == ["answer.seats"]
    assert (await the_form(tenant, run.id)).state == "open"
    assert (await runs.get(tenant.engineer, run.id)).state == "waiting"


async def test_nobody_answers_twice_and_only_who_is_asked(runner: Worker) -> None:
    tenant, run = await started(chain("Twice", form(), NOOP))
    asked = await the_form(tenant, run.id)
    with pytest.raises(Forbidden) as refused:
        await forms.answer(tenant.approver, asked.id, answer={"department": "Legal", "seats": 1})
    assert refused.value.code == "form_role"
    assert len(await told(tenant.owner, "form_refused")) == 1
    answers = [{"department": name, "seats": 1} for name in ("Legal", "Sales")]
    said = await asyncio.gather(
        *(forms.answer(tenant.engineer, asked.id, answer=one) for one in answers), return_exceptions=True
    )
    assert [type(one) for one in said if isinstance(one, Exception)] == [Stale]
    (taken,) = [one for one in said if isinstance(one, FormView)]
    run = await wait_for(tenant.engineer, run.id)
    assert output(run)["department"] == taken.answer["department"]
    elsewhere = await make_tenant()
    with pytest.raises(Missing):
        await forms.get(elsewhere.owner, asked.id)


async def test_named_people_fill_it_in_and_nobody_else(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(chain("Named", form(people=[tenant.approver.actor.email.upper()]), NOOP))
    run = await waiting(tenant.engineer, await runs.start(tenant.owner, workflow=flow.id, mode="apply"))
    asked = await the_form(tenant, run.id)
    assert not asked.may_answer
    with pytest.raises(Forbidden):
        await forms.answer(tenant.owner, asked.id, answer={"department": "Legal", "seats": 1})
    await forms.answer(tenant.approver, asked.id, answer={"department": "Legal", "seats": 1})
    assert (await wait_for(tenant.engineer, run.id)).state == "succeeded"


async def test_a_form_that_nobody_fills_in_leaves_by_timeout(web: TestStack, runner: Worker) -> None:
    tenant, run = await started(with_way(chain("Late", form(deadline_hours=2), NOOP), "timeout"))
    asked = await the_form(tenant, run.id)
    bring_forward(web, run.id, 2 * HOUR + 1)
    run = await wait_for(tenant.engineer, run.id)
    assert states(run) == {"ask": "succeeded", "after": "skipped", "late": "succeeded"}
    assert output(run) == {"department": None, "seats": None, "note": None}
    assert (await the_form(tenant, run.id)).state == "expired"
    with pytest.raises(Stale):
        await forms.answer(tenant.engineer, asked.id, answer={"department": "Legal", "seats": 1})


async def test_at_the_deadline_the_default_is_the_answer(web: TestStack, runner: Worker) -> None:
    default = {"department": "Sales", "seats": 1}
    node = form(deadline_hours=1, on_deadline="default", default=default)
    tenant, run = await started(with_way(chain("Default", node, NOOP), "timeout"))
    bring_forward(web, run.id, HOUR + 1)
    run = await wait_for(tenant.engineer, run.id)
    assert states(run) == {"ask": "succeeded", "after": "succeeded", "late": "skipped"}
    assert output(run) == {**default, "note": None}


async def test_people_are_reminded_of_a_form_once(web: TestStack, runner: Worker) -> None:
    tenant, run = await started(chain("Remind", form(deadline_hours=10, remind_hours=4), NOOP))
    assert await told(tenant.owner, "form_reminded") == []
    bring_forward(web, run.id, 6 * HOUR + 1)
    (event,) = await until_told(tenant.owner, "form_reminded")
    assert event.details["roles"] == ["engineer"]
    bring_forward(web, run.id, HOUR)
    assert (await the_form(tenant, run.id)).reminded_at is not None
    await forms.answer(tenant.engineer, (await the_form(tenant, run.id)).id, answer={"department": "Legal", "seats": 1})
    assert (await wait_for(tenant.engineer, run.id)).state == "succeeded"
    assert len(await told(tenant.owner, "form_reminded")) == 1


async def test_a_form_of_a_cancelled_run_is_withdrawn(runner: Worker) -> None:
    tenant, run = await started(chain("Cancelled", form(), NOOP))
    await runs.cancel(tenant.engineer, run.id)
    run = await wait_for(tenant.engineer, run.id)
    assert (run.state, states(run)["ask"]) == ("cancelled", "cancelled")
    (asked,) = run.forms
    assert asked.state == "void"
    with pytest.raises(Stale):
        await forms.answer(tenant.engineer, asked.id, answer={"department": "Legal", "seats": 1})
    assert await forms.list_forms(tenant.engineer) == []


async def test_a_plan_leaves_the_answer_unknown(m365: Sandbox, runner: Worker) -> None:
    update = {"user": LIAM, "department": "{{ steps.ask.output.department }}"}
    write = {"id": "write", "type": "m365.user.update", "connection": "m365", "params": update}
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    flow = await tenant.publish(chain("Planned", form(), write))
    plan = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="plan"))
    assert plan.state == "succeeded", plan.reason
    assert plan.forms == ()
    (change,) = [one["change"] for one in plan.plan if one["change"]]
    assert change["kind"] == "unknown"


async def test_a_question_of_an_item_that_was_given_up_is_withdrawn(runner: Worker) -> None:
    """Its sibling failed, the workflow goes on: whoever answered now would be heard by nobody."""
    inner = chain("", ask(title="Item?"), NOOP)
    inner["nodes"].append({"id": "no", "type": "flow.fail", "params": {"message": "Denied."}})
    inner["edges"].append({"source": "ask", "target": "no", "port": "denied"})
    each = {"id": "each", "type": "flow.for_each", "params": {"items": "{{ [1, 2] }}"}, "on_error": "continue"}
    each["body"] = {"nodes": inner["nodes"], "edges": inner["edges"]}
    last = {**ask(title="Last?"), "id": "last"}
    tenant, run = await started(chain("Given up", each, last, {"id": "end", "type": "flow.noop"}))
    first = await wait_for_question(tenant.engineer, run.id, node="each[0].ask")
    other = await wait_for_question(tenant.engineer, run.id, node="each[1].ask")
    await approvals.decide(tenant.approver, first.id, decision="deny", seal=first.seal, reason="No.", mfa=True)
    await wait_for_question(tenant.engineer, run.id, node="last")
    closed = {one.id: one for one in (await runs.get(tenant.engineer, run.id)).approvals}[other.id]
    assert closed.state == "void"
    assert closed.decided_at
    then = await runs.at(tenant.engineer, run.id, datetime.now(UTC))
    assert {one.node: one.state for one in then.approvals} == {
        "each[0].ask": "denied",
        "each[1].ask": "void",
        "last": "open",
    }


def beside(*others: Json) -> Json:
    """An approval and a form, asked at the same moment as ``others`` begin."""
    document = chain("Beside", {"id": "start", "type": "flow.noop"})
    questions = [{**ask(), "id": "approve"}, {**form(), "id": "fill"}]
    for node in [*others, *questions]:
        node.pop("_port", None)
        document["nodes"].append(node)
        document["edges"].append({"source": "start", "target": node["id"], "port": "next"})
    return document


async def questions_of(tenant: Tenant, run_id: UUID) -> dict[str, str]:
    run = await runs.get(tenant.engineer, run_id)
    return {one.node or "": one.state for one in [*run.approvals, *run.forms]}


async def test_what_is_asked_while_another_branch_fails_is_withdrawn(m365: Sandbox, runner: Worker) -> None:
    """Both within one walk, which was loaded when nothing had been asked."""
    look = {"id": "look", "type": "m365.user.get", "connection": "m365", "retry": {"attempts": 1}}
    look["params"] = {"user": "{{ run.id != '' ? 'nobody@sandbox.example' : '' }}"}  # not known to the plan
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    flow = await tenant.publish(beside(look))
    m365.control.fault("slow", path="(?i)nobody", seconds=120)  # the answer, which is that there is none, is held
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    await wait_for_question(tenant.engineer, run_id, node="approve")
    m365.control.clear_faults()
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, run.reason["node"]) == ("failed", "look")
    assert await questions_of(tenant, run_id) == {"approve": "void", "fill": "void"}


async def test_a_deadline_comes_though_another_branch_is_in_a_long_call(m365: Sandbox, runner: Worker) -> None:
    disable = {"id": "disable", "type": "m365.user.disable", "connection": "m365", "params": {"user": LIAM}}
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    document = beside(disable)
    for node in document["nodes"]:
        if node["id"] in ("approve", "fill"):
            node["params"] |= {"deadline_hours": 1 / HOUR}
    flow = await tenant.publish(document)
    m365.control.fault("timeout", writes=True, when="after", seconds=120)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    wanted = {"disable": "running", "approve": "succeeded", "fill": "succeeded"}
    await wait_for_steps(tenant.engineer, run_id, wanted)
    assert await questions_of(tenant, run_id) == {"approve": "expired", "fill": "expired"}
    m365.control.clear_faults()
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"


async def test_nobody_is_asked_for_a_run_that_another_branch_has_just_stopped(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(beside({"id": "no", "type": "flow.fail", "params": {"message": "No."}}))
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
    assert (run.state, run.reason["node"]) == ("failed", "no")
    assert await questions_of(tenant, run.id) == {}
    assert (states(run)["approve"], states(run)["fill"]) == ("cancelled", "cancelled")


async def test_an_approval_of_named_people(runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    node = ask(people=[tenant.approver.actor.email.title()], roles=["owner", "approver"])
    flow = await tenant.publish(chain("Named", node, NOOP))
    run = await waiting(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
    asked = await wait_for_question(tenant.engineer, run.id)
    assert (asked.roles, asked.people) == ((), (tenant.approver.actor.email.title(),))
    with pytest.raises(Forbidden) as refused:
        await approvals.decide(tenant.owner, asked.id, decision="approve", seal=asked.seal, mfa=True)
    assert refused.value.code == "approval_role"
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    assert (await wait_for(tenant.engineer, run.id)).state == "succeeded"


@pytest.mark.parametrize(("on_deadline", "allowed"), [("deny", True), ("approve", False), ("approve", True)])
async def test_silence_is_no_unless_workflow_and_policy_take_it_for_a_yes(
    web: TestStack, runner: Worker, on_deadline: str, allowed: bool
) -> None:
    document = with_way(chain("Silence", ask(deadline_hours=1, on_deadline=on_deadline), NOOP), "denied")
    tenant, run = await started(document)
    if allowed:
        await clients.update_policy(tenant.owner, policy={**NO_POLICY, "silence_may_approve": True})
    bring_forward(web, run.id, HOUR + 1)
    run = await wait_for(tenant.engineer, run.id)
    approved = on_deadline == "approve" and allowed
    assert output(run)["approved"] is approved
    assert states(run)["after"] == ("succeeded" if approved else "skipped")
    (event,) = await told(tenant.owner, "approval_expired")
    assert event.details["approved"] is approved


async def test_people_are_reminded_of_an_approval_once(web: TestStack, runner: Worker) -> None:
    tenant, run = await started(chain("Remind", ask(deadline_hours=10, remind_hours=1), NOOP))
    bring_forward(web, run.id, 9 * HOUR + 1)
    (event,) = await until_told(tenant.owner, "approval_reminded")
    assert event.details["roles"] == ["approver"]
    asked = await wait_for_question(tenant.engineer, run.id)
    assert asked.reminded_at is not None
    assert (await runs.get(tenant.engineer, run.id)).state not in OVER
    await approvals.decide(tenant.approver, asked.id, decision="deny", seal=asked.seal, reason="No.", mfa=True)
    assert (await wait_for(tenant.engineer, run.id)).state == "succeeded"
    assert len(await told(tenant.owner, "approval_reminded")) == 1
