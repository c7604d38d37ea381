"""Events start runs once each: a run that ended, a decision, drift; also after a crash, and never for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.core.errors import Forbidden, Invalid, Missing
from app.core.ids import new_id
from app.services import approvals, audit, runs, triggers
from app.services.triggers import Change, TriggerView
from app.services.triggers.happenings import deal_with_next
from connectors.testing import Bench, Sandbox
from tests.engine.kit import (
    NO_POLICY,
    Tenant,
    Worker,
    chain,
    changing,
    make_tenant,
    only_step,
    wait_for,
    wait_for_question,
    wait_until,
)
from tests.engine.test_people import bring_forward
from tests.engine.triggers import Schedulers, count_of, firings_of, flow_of, runs_of, scheduled
from tests.servers import TestStack

Json = dict[str, Any]
ASK: Json = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?", "roles": ["approver"]}}
FAIL: Json = {"id": "stop", "type": "flow.fail", "params": {"message": "no"}}


@pytest.fixture
async def tenant(web: TestStack) -> Tenant:
    return await make_tenant(NO_POLICY)


@pytest.fixture
def schedulers(web: TestStack, tmp_path: Path) -> Iterator[Schedulers]:
    found = Schedulers(web, tmp_path)
    yield found
    found.close()


async def listening(tenant: Tenant, flow: UUID, on: str, *, inputs: Json | None = None, **config: Any) -> Any:
    asked: Json = {"name": f"E {new_id().hex[-6:]}", "mode": "apply", "inputs": inputs or {"word": "x"}}
    return await triggers.create(tenant.engineer, kind="event", workflow=flow, config={"on": on, **config}, **asked)


async def started(tenant: Tenant, flow: UUID, mode: Any = "apply") -> Any:
    run_id = await runs.start(tenant.engineer, workflow=flow, inputs={"word": "first"}, mode=mode)
    return await wait_for(tenant.engineer, run_id)


async def dealt_with(tenant: Tenant) -> int:
    """Deal with all that has happened, as the scheduler does; how much it was."""
    count = 0
    while await deal_with_next(tenant.client_id):
        count += 1
    return count


def left_of(web: TestStack, tenant: Tenant) -> int:
    """How much has happened that was not dealt with."""
    return count_of(web, "SELECT count(*) FROM happenings WHERE client_id = %s", tenant.client_id)


async def test_a_run_that_ended_starts_another(web, tenant: Tenant, runner: Worker, schedulers: Schedulers) -> None:
    first, second = await flow_of(tenant), await flow_of(tenant)
    inputs = {"word": "{{ payload.run.inputs.word + ' ' + payload.run.state }}"}
    trigger = await listening(tenant, second, "run_ended", workflow=str(first), inputs=inputs)
    cause = await started(tenant, first)
    await asyncio.to_thread(schedulers.start)
    (firing,) = await firings_of(tenant, trigger.id, bool)
    run = await wait_for(tenant.engineer, firing.run)
    assert (run.state, run.inputs["word"]) == ("succeeded", "first succeeded")
    assert run.id != cause.id
    await asyncio.to_thread(wait_until, lambda: left_of(web, tenant) == 0, 20, "everything to be dealt with")
    assert runs_of(web, trigger.id) == 1


async def test_filters_let_through_what_was_asked_for(web: TestStack, tenant: Tenant, runner: Worker) -> None:
    good, bad = await flow_of(tenant), await flow_of(tenant, FAIL)
    target = await flow_of(tenant)
    all_ = await listening(tenant, target, "run_ended", modes=["plan", "apply"])
    failed = await listening(tenant, target, "run_ended", outcomes=["failed"])
    of_good = await listening(tenant, target, "run_ended", workflow=str(good))
    await started(tenant, good)
    await started(tenant, good, "plan")
    await started(tenant, bad)
    # What they start ends too: only the three above are of interest here.
    assert left_of(web, tenant) == 3
    for _ in range(3):
        assert await deal_with_next(tenant.client_id)
    found_runs = [runs_of(web, each.id) for each in (all_, failed, of_good)]
    assert found_runs == [3, 1, 1]


async def test_nobody_listens_and_nothing_is_written(web: TestStack, tenant: Tenant, runner: Worker) -> None:
    flow = await flow_of(tenant)
    trigger = await listening(tenant, flow, "run_ended")
    await triggers.switch(tenant.engineer, trigger.id, on=False)
    await started(tenant, flow)
    assert await dealt_with(tenant) == 0


async def test_a_trigger_says_which_runs_go_first(web: TestStack, tenant: Tenant, runner: Worker) -> None:
    first, target = await flow_of(tenant), await flow_of(tenant)
    trigger = await listening(tenant, target, "run_ended", workflow=str(first), priority="high")
    await started(tenant, first)
    assert await deal_with_next(tenant.client_id)
    (firing,) = await firings_of(tenant, trigger.id, bool)
    assert (await wait_for(tenant.engineer, firing.run)).priority == "high"
    helper = replace(tenant.engineer, permissions=tenant.engineer.permissions - {"run.hurry"})
    with pytest.raises(Forbidden):
        await triggers.update(helper, trigger.id, Change(name="Another name"))


async def test_a_question_starts_what_tells_people_of_it(web: TestStack, tenant: Tenant, runner: Worker) -> None:
    """When it is asked and when people are reminded; not one that has been answered meanwhile."""
    target = await flow_of(tenant)
    asking = await flow_of(tenant, {**ASK, "params": {**ASK["params"], "deadline_hours": 2, "remind_hours": 1}})
    inputs = {"word": "{{ payload.question.kind + ' ' + payload.question.roles[0] + ' ' + payload.question.url }}"}
    asked = await listening(tenant, target, "people_asked", inputs=inputs)
    reminded = await listening(tenant, target, "people_reminded", inputs=inputs)
    run_id = await runs.start(tenant.engineer, workflow=asking, inputs={"word": "x"}, mode="apply")
    question = await wait_for_question(tenant.approver, run_id)
    assert await dealt_with(tenant) == 1
    (firing,) = await firings_of(tenant, asked.id, bool)
    told = (await wait_for(tenant.engineer, firing.run)).inputs["word"]
    assert told.startswith("approval approver http")
    assert told.endswith(f"/c/{tenant.owner.client_slug}/approvals?id={question.id}")
    bring_forward(web, run_id, 3600 + 60)
    await asyncio.to_thread(wait_until, lambda: left_of(web, tenant) == 1, 20, "the reminder")
    assert await dealt_with(tenant) == 1
    assert runs_of(web, reminded.id) == 1
    other = await runs.start(tenant.engineer, workflow=asking, inputs={"word": "x"}, mode="apply")
    late = await wait_for_question(tenant.approver, other)
    await approvals.decide(tenant.approver, late.id, decision="deny", seal=late.seal, reason="No.", mfa=True)
    assert await dealt_with(tenant) == 1
    assert runs_of(web, asked.id) == 1


async def test_a_decision_starts_a_run(web: TestStack, tenant: Tenant, runner: Worker) -> None:
    asking, target = await flow_of(tenant, ASK), await flow_of(tenant)
    inputs = {"word": "{{ payload.approval.decision + ' by ' + payload.approval.by[0] }}"}
    denied = await listening(tenant, target, "approval_decided", decisions=["denied"], inputs=inputs)
    approved = await listening(tenant, target, "approval_decided", decisions=["approved"], inputs=inputs)
    run_id = await runs.start(tenant.engineer, workflow=asking, inputs={"word": "x"}, mode="apply")
    question = await wait_for_question(tenant.approver, run_id)
    await approvals.decide(tenant.approver, question.id, decision="deny", seal=question.seal, reason="not now")
    assert await dealt_with(tenant) >= 1
    (firing,) = await triggers.firings(tenant.engineer, denied.id)
    assert (await runs.get(tenant.engineer, firing.run)).inputs["word"] == "denied by Approver"
    assert await triggers.firings(tenant.engineer, approved.id) == []


async def test_dealt_with_by_many_at_once_each_starts_once(web: TestStack, tenant: Tenant, runner: Worker) -> None:
    flow, target = await flow_of(tenant), await flow_of(tenant)
    trigger = await listening(tenant, target, "run_ended", workflow=str(flow))
    for _ in range(3):
        await started(tenant, flow)
    await asyncio.gather(*(dealt_with(tenant) for _ in range(6)))
    assert runs_of(web, trigger.id) == 3
    assert len(await triggers.firings(tenant.engineer, trigger.id)) == 3


async def test_cut_off_before_the_commit_it_is_dealt_with_again_and_once(web, tenant: Tenant, runner: Worker) -> None:
    flow, target = await flow_of(tenant), await flow_of(tenant)
    trigger = await listening(tenant, target, "run_ended", workflow=str(flow))
    await started(tenant, flow)
    with psycopg.connect(web.superuser_dsn, autocommit=True) as link:
        link.execute("CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                     " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$")  # fmt: skip
        link.execute("CREATE CONSTRAINT TRIGGER cut AFTER DELETE ON happenings DEFERRABLE INITIALLY DEFERRED"
                     " FOR EACH ROW EXECUTE FUNCTION cut()")  # fmt: skip
        try:
            assert await deal_with_next(tenant.client_id)
            assert runs_of(web, trigger.id) == 0
        finally:
            link.execute("DROP FUNCTION cut() CASCADE")
        put_off = (
            "SELECT count(*) FROM happenings"
            " WHERE client_id = %s AND attempts = 1 AND ready_at > at + interval '1 second'"
        )
        assert count_of(web, put_off, tenant.client_id) == 1
        link.execute("UPDATE happenings SET ready_at = now() WHERE client_id = %s", (tenant.client_id,))
    # The run that it starts soon ends too, which is of no interest here.
    assert await deal_with_next(tenant.client_id)
    assert runs_of(web, trigger.id) == 1


async def test_triggers_that_start_each_other_come_to_an_end(web: TestStack, tenant: Tenant, runner: Worker) -> None:
    flow = await flow_of(tenant)
    trigger = await listening(tenant, flow, "run_ended", workflow=str(flow))
    await started(tenant, flow)
    for _ in range(400):
        await dealt_with(tenant)
        found = await triggers.firings(tenant.engineer, trigger.id)
        if found and found[0].outcome == "refused":
            break
        await asyncio.sleep(0.05)
    assert found[0].why == {"code": "too_deep", "limit": 8}
    assert [each.outcome for each in found] == ["refused", *["started"] * 8]
    for firing in found[1:]:
        await wait_for(tenant.engineer, firing.run)
    assert await dealt_with(tenant) == 0


async def test_undoing_is_no_event_of_the_workflow(web: TestStack, tenant: Tenant, runner: Worker) -> None:
    changing_one = {"id": "set", "type": "flow.set_variable", "params": {"name": "word", "value": "{{ inputs.word }}"}}
    flow, target = await flow_of(tenant, changing_one), await flow_of(tenant)
    run = await started(tenant, flow)
    trigger = await listening(tenant, target, "run_ended", workflow=str(flow))
    await wait_for(tenant.engineer, await runs.undo(tenant.engineer, run.id))
    await dealt_with(tenant)
    assert await triggers.firings(tenant.engineer, trigger.id) == []


async def test_an_event_that_there_is_not_and_a_workflow_of_nobody(tenant: Tenant) -> None:
    flow = await flow_of(tenant)
    with pytest.raises(Invalid):
        await listening(tenant, flow, "moon_rose")
    with pytest.raises(Missing):
        await listening(tenant, flow, "run_ended", workflow=str(new_id()))
    with pytest.raises(Missing):
        await listening(tenant, flow, "drift_found", trigger=str(new_id()))


ZOE = {"user": "zoe@sandbox.example"}


async def do(m365: Sandbox, action: str) -> None:
    """As if somebody had done it by hand in the platform's own portal."""
    bench = Bench(m365, m365.open())
    await bench.do(action, ZOE)
    await bench.client.aclose()


async def check(tenant: Tenant, watch: UUID) -> TriggerView:
    """The watch after one more check."""
    firing = await triggers.fire_now(tenant.engineer, watch)
    assert firing.run is not None
    await wait_for(tenant.engineer, firing.run)
    await dealt_with(tenant)
    return await triggers.get(tenant.engineer, watch)


async def told(tenant: Tenant) -> list[str]:
    """What the audit trail says of drift, oldest first."""
    page = await audit.list_events(tenant.owner)
    return [event.action for event in reversed(page.events) if event.action.startswith("drift_")]


async def test_drift_is_told_once_when_it_comes_and_once_when_it_goes(web, m365: Sandbox, runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    flow = (await tenant.publish(only_step("m365.user.disable", ZOE))).id
    watch = (await scheduled(tenant, flow, mode="plan", watch=True, inputs={})).id
    found = await listening(tenant, await flow_of(tenant), "drift_found", inputs={"word": "{{ payload.watch.name }}"})
    gone = await listening(tenant, await flow_of(tenant), "drift_cleared", trigger=str(watch))
    await do(m365, "m365.user.disable")

    calm = await check(tenant, watch)
    assert (calm.state, calm.drift.state, await told(tenant)) == ("ok", "clear", [])

    await do(m365, "m365.user.enable")
    drifted = await check(tenant, watch)
    assert (drifted.state, drifted.drift.state, drifted.drift.counts["change"]) == ("drift", "drift", 1)
    again = await check(tenant, watch)
    assert (again.drift.since, again.drift.run != drifted.drift.run) == (drifted.drift.since, True)
    assert [each.id for each in await triggers.list_triggers(tenant.engineer, drift=True)] == [watch]
    assert await told(tenant) == ["drift_found"]
    (firing,) = await triggers.firings(tenant.engineer, found.id)
    assert (await runs.get(tenant.engineer, firing.run)).inputs["word"] == again.name

    renamed = await triggers.update(tenant.engineer, watch, Change(name=f"Renamed {again.name}"))
    assert renamed.drift == again.drift
    moved = await triggers.update(
        tenant.engineer, watch, Change(config={**again.config, "priority": "low", "catch_up": "skip"}, mode="plan")
    )
    assert moved.drift == again.drift, "it looks at the same, at other times"
    await do(m365, "m365.user.disable")
    assert (await check(tenant, watch)).drift.state == "clear"
    assert await told(tenant) == ["drift_found", "drift_cleared"]
    assert (runs_of(web, found.id), runs_of(web, gone.id)) == (1, 1)
    assert await triggers.list_triggers(tenant.engineer, drift=True) == []
    assert len(changing(m365)) == 3, "what was done by hand; checks only look"


async def test_a_change_on_a_connection_is_told_each_time_it_is_seen(
    web: TestStack, m365: Sandbox, runner: Worker
) -> None:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    flow = (await tenant.publish(only_step("m365.user.get", ZOE))).id
    watch = (await scheduled(tenant, flow, mode="plan", watch=True, inputs={})).id
    word = "{{ payload.changes[0].step + ' ' + string(payload.changes[0].before.account_enabled) }}"
    heard = await listening(tenant, await flow_of(tenant), "change_seen", trigger=str(watch), inputs={"word": word})
    other = await scheduled(tenant, flow, mode="plan", watch=True, inputs={})
    deaf = await listening(tenant, await flow_of(tenant), "change_seen", trigger=str(other.id))

    await check(tenant, watch)
    assert (await check(tenant, watch)).drift.state == "clear"
    assert runs_of(web, heard.id) == 0, "the first check only takes note, and nothing has changed since"
    await do(m365, "m365.user.disable")
    await check(tenant, watch)
    (firing,) = await triggers.firings(tenant.engineer, heard.id)
    assert firing.run is not None, firing.why
    assert (await runs.get(tenant.engineer, firing.run)).inputs["word"] == "step true"
    await check(tenant, watch)
    assert runs_of(web, heard.id) == 1
    await do(m365, "m365.user.enable")
    await check(tenant, watch)
    assert (runs_of(web, heard.id), runs_of(web, deaf.id)) == (2, 0)
    page = await audit.list_events(tenant.owner)
    assert [event.action for event in page.events].count("change_seen") == 2


async def test_another_question_is_no_change(web: TestStack, m365: Sandbox, runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    inputs = {"type": "object", "properties": {"user": {"type": "string"}}, "required": ["user"]}
    look = {"id": "step", "type": "m365.user.get", "connection": "m365", "params": {"user": "{{ inputs.user }}"}}
    flow = (await tenant.publish(chain("Look", look, inputs=inputs))).id
    watch = (await scheduled(tenant, flow, mode="plan", watch=True, inputs=ZOE)).id
    heard = await listening(tenant, await flow_of(tenant), "change_seen")
    await check(tenant, watch)
    await triggers.update(tenant.engineer, watch, Change(inputs={"user": "liam.o'connor@sandbox.example"}))
    await check(tenant, watch)
    assert runs_of(web, heard.id) == 0


async def test_a_check_that_fails_is_no_drift_and_is_seen(web: TestStack, m365: Sandbox, runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    flow = (await tenant.publish(only_step("m365.user.disable", {"user": "nobody@sandbox.example"}))).id
    watch = await scheduled(tenant, flow, mode="plan", watch=True, inputs={})
    seen = await check(tenant, watch.id)
    assert (seen.state, seen.drift.state) == ("failed", "unknown")
    assert seen.drift.error["code"]
    assert await told(tenant) == []
