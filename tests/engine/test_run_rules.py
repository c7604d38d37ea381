"""Concurrency keys, priorities, and what a failed run starts by itself: all of it with workers that are killed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.core.context import Actor
from app.core.errors import Forbidden, Invalid
from app.services import accounts, approvals, audit, clients, runs, workflows
from app.services.run_views import RunView
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
LIAM = "liam.o'connor@sandbox.example"
RENEE = {"user_principal_name": "renee@sandbox.example", "display_name": "Renée", "usage_location": "FR"}
CREATE = {"id": "create", "type": "m365.user.create", "connection": "m365", "params": RENEE}
FAIL = {"id": "fail", "type": "flow.fail", "params": {"message": "It does not go on."}}
ASK = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
NAMED = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def update(department: str, node: str = "step") -> Json:
    params = {"user": LIAM, "department": department}
    return {"id": node, "type": "m365.user.update", "connection": "m365", "params": params}


async def tenant_of(m365: Sandbox, policy: Json | None = None) -> Tenant:
    tenant = await make_tenant(NO_POLICY if policy is None else policy)
    await tenant.connect(m365)
    m365.control.clear_log()
    return tenant


async def keyed(tenant: Tenant, *nodes: Json, **rule: Any) -> UUID:
    key = {"key": "user:{{ inputs.name }}"} | rule
    return (await tenant.publish({**chain("Keyed", *nodes, inputs=NAMED), "concurrency": key})).id


async def start(tenant: Tenant, flow: UUID, name: str = "liam", **more: Any) -> UUID:
    return await runs.start(tenant.engineer, workflow=flow, inputs={"name": name}, mode="apply", **more)


async def reason_of(tenant: Tenant, run_id: UUID, code: str) -> RunView:
    """The run once it waits or has ended with this reason."""
    async for view in runs.events(tenant.engineer, run_id):
        if (view.reason or {}).get("code") == code:
            return view
    return await runs.get(tenant.engineer, run_id)


def slots(stack: TestStack, tenant: Tenant) -> int:
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        query = "SELECT count(*) FROM run_queue WHERE client_id = %s AND slot IS NOT NULL"
        row = link.execute(query, (tenant.client_id,)).fetchone()
    assert row
    return int(row[0])


class TestKeys:
    async def test_the_second_waits_for_the_first_and_another_key_for_nobody(
        self, m365: Sandbox, runner: Worker, stack: TestStack
    ) -> None:
        tenant = await tenant_of(m365)
        flow = await keyed(tenant, ASK)
        first = await start(tenant, flow)
        asked = await wait_for_question(tenant.engineer, first)
        second = await reason_of(tenant, await start(tenant, flow), "concurrency")
        assert second.state == "queued"
        assert second.reason == {"code": "concurrency", "key": "user:liam", "runs": [str(first)]}
        await wait_for_question(tenant.engineer, await start(tenant, flow, "anna"))
        await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
        assert (await wait_for(tenant.engineer, first)).state == "succeeded"
        again = await wait_for_question(tenant.engineer, second.id)
        await approvals.decide(tenant.approver, again.id, decision="approve", seal=again.seal, mfa=True)
        assert (await wait_for(tenant.engineer, second.id)).state == "succeeded"
        assert slots(stack, tenant) == 1, "only the one that still waits for its answer"

    async def test_a_killed_worker_leaks_no_slot(self, m365: Sandbox, relay: Relay, stack: TestStack) -> None:
        """kill -9 in the middle of the first one's write: it goes on, ends, and the next has its turn. No slot is left
        over, and never are there two writes at a time."""
        assert relay.runner
        tenant = await tenant_of(m365)
        flow = await keyed(tenant, update("{{ inputs.name }} {{ run.id }}"))
        m365.control.fault("slow", writes=True, seconds=3)
        first = await start(tenant, flow)
        await off_loop(wait_until, m365.control.writes, 20, "the write to arrive")
        second, third = await start(tenant, flow), await start(tenant, flow)
        await reason_of(tenant, second, "concurrency")
        await off_loop(relay.replace)
        assert (await wait_for(tenant.engineer, first, seconds=60)).state == "succeeded"
        done = [await wait_for(tenant.engineer, run_id, seconds=60) for run_id in (second, third)]
        assert [run.state for run in done] == ["succeeded", "succeeded"]
        ends = [(await runs.get(tenant.engineer, run_id)).finished_at for run_id in (first, second, third)]
        assert ends == sorted(ends, key=str), "in the order of their starts"
        assert len(changing(m365)) == 3
        assert slots(stack, tenant) == 0

    @pytest.mark.parametrize("end", ["failed", "cancelled", "refused", "paused and cancelled"])
    async def test_every_end_frees_the_slot(self, end: str, m365: Sandbox, runner: Worker, stack: TestStack) -> None:
        tenant = await tenant_of(m365)
        nobody = {**update("A"), "params": {"user": "nobody@sandbox.example", "department": "A"}}
        nodes = {"failed": [FAIL], "refused": [nobody]}.get(end, [ASK, update("A")])
        flow = await keyed(tenant, *nodes)
        first = await start(tenant, flow)
        if "cancelled" in end:
            await wait_for_question(tenant.engineer, first)
            if "paused" in end:
                await runs.pause(tenant.engineer, first)
                await wait_for(tenant.engineer, first, ("paused",))
            await runs.cancel(tenant.engineer, first)
        over = await wait_for(tenant.engineer, first)
        assert over.state == ("cancelled" if "cancelled" in end else "failed"), over.reason
        second = await start(tenant, flow)
        if "cancelled" not in end:
            assert (await wait_for(tenant.engineer, second)).state == "failed"
        else:
            await wait_for_question(tenant.engineer, second)
            await runs.cancel(tenant.engineer, second)
            await wait_for(tenant.engineer, second)
        assert slots(stack, tenant) == 0

    async def test_a_paused_run_that_waits_lets_others_pass(self, m365: Sandbox, runner: Worker) -> None:
        tenant = await tenant_of(m365)
        flow = await keyed(tenant, ASK)
        first = await start(tenant, flow)
        asked = await wait_for_question(tenant.engineer, first)
        second = await start(tenant, flow)
        await reason_of(tenant, second, "concurrency")
        third = await start(tenant, flow)
        await reason_of(tenant, third, "concurrency")
        await runs.pause(tenant.engineer, second)
        await wait_for(tenant.engineer, second, ("paused",))
        await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
        await wait_for_question(tenant.engineer, third)
        assert (await runs.get(tenant.engineer, second)).state == "paused"

    async def test_skip(self, m365: Sandbox, runner: Worker) -> None:
        tenant = await tenant_of(m365)
        flow = await keyed(tenant, ASK, policy="skip")
        first = await start(tenant, flow)
        await wait_for_question(tenant.engineer, first)
        second = await wait_for(tenant.engineer, await start(tenant, flow))
        assert second.state == "cancelled"
        assert second.reason == {"code": "concurrency_skipped", "key": "user:liam", "runs": [str(first)]}

    async def test_replace(self, m365: Sandbox, runner: Worker) -> None:
        """The one before is cancelled and the new one begins when it is over, not before."""
        tenant = await tenant_of(m365)
        flow = await keyed(tenant, update("A", "first"), ASK, policy="replace")
        first = await start(tenant, flow)
        await wait_for_question(tenant.engineer, first)
        second = await start(tenant, flow)
        over = await wait_for(tenant.engineer, first)
        assert over.reason == {"code": "cancelled", "effects": ["first"], "replaced_by": str(second)}
        await wait_for_question(tenant.engineer, second)

        await runs.cancel(tenant.engineer, second)
        await wait_for(tenant.engineer, second)
        await runs.retry(tenant.engineer, first)
        await wait_for_question(tenant.engineer, first)
        await runs.cancel(tenant.engineer, first)
        over = await wait_for(tenant.engineer, first)
        assert over.reason == {"code": "cancelled", "effects": ["first"]}, "a person stopped it this time"

    async def test_a_key_that_names_nothing_starts_nothing(self, m365: Sandbox) -> None:
        tenant = await tenant_of(m365)
        flow = await keyed(tenant, ASK, key="{{ inputs.name }}")
        with pytest.raises(Invalid):
            await start(tenant, flow, " ")
        rows = [{"name": "anna"}, {"name": " "}]
        with pytest.raises(Invalid) as refused:
            await runs.start_batch(tenant.engineer, workflow=flow, rows=rows, mode="apply")
        assert [problem.row for problem in refused.value.problems] == [2]
        assert await runs.list_runs(tenant.engineer) == []


async def test_of_one_clients_runs_the_urgent_ones_are_taken_first(m365: Sandbox, stack: TestStack) -> None:
    """Three starts while no worker of this client's looks: the queue holds their order, and the claim keeps to it
    (tests/db/test_queue.py)."""
    tenant = await tenant_of(m365)
    flow = await tenant.publish(chain("Urgent", {"id": "a", "type": "flow.noop"}))
    asked = {}
    for name in ("low", "normal", "high"):
        asked[await runs.start(tenant.engineer, workflow=flow.id, mode="plan", priority=name)] = name
    for run_id, name in asked.items():
        assert (await runs.get(tenant.engineer, run_id)).priority == name
    here = clients.system_context("setup", tenant.client_id, tenant.owner.client_slug)
    person = await accounts.create(here, email=f"h-{tenant.client_id}@test.example", name="H", role="helpdesk")
    helper = await clients.enter(Actor(account_id=person.id, email=person.email, name="H"), here.client_slug)
    with pytest.raises(Forbidden):
        await runs.start(helper, workflow=flow.id, mode="plan", priority="high")
    await runs.start(helper, workflow=flow.id, mode="plan", priority="low")
    with pytest.raises(Invalid):
        await runs.start(tenant.engineer, workflow=flow.id, mode="plan", priority="now")


async def test_a_plan_that_is_carried_out_keeps_its_turn(m365: Sandbox, stack: TestStack, runner: Worker) -> None:
    """Whoever carries it out need not have the right to put runs before others: somebody had it."""
    tenant = await tenant_of(m365)
    flow = await tenant.publish(chain("Kept", {"id": "a", "type": "flow.noop"}))
    plan = await runs.start(tenant.engineer, workflow=flow.id, mode="plan", priority="high")
    await wait_for(tenant.engineer, plan)
    for asked, kept in ((None, "high"), ("low", "low")):
        made = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", plan=plan, priority=asked)
        assert (await runs.get(tenant.engineer, made)).priority == kept


class TestCompensation:
    def document(self, *nodes: Json, **rules: Any) -> Json:
        return {**chain("Compensated", *nodes), "on_failure": "compensate", **rules}

    async def compensation(self, tenant: Tenant, run_id: UUID) -> UUID:
        run = await runs.get(tenant.engineer, run_id)
        (found,) = [each for each in run.followed_by if each.why == "compensation"]
        return found.id

    async def test_a_failed_run_is_taken_back(self, m365: Sandbox, runner: Worker) -> None:
        tenant = await tenant_of(m365)
        before = m365.control.dump()
        flow = await tenant.publish(self.document(CREATE, update("A"), FAIL))
        run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
        assert (run.state, run.effects) == ("failed", ("create", "step"))
        back = await wait_for(tenant.engineer, await self.compensation(tenant, run.id))
        assert (back.kind, back.of, back.why, back.state) == ("undo", run.id, "compensation", "succeeded")
        assert [step.node for step in back.steps] == ["step", "create"]
        assert m365.control.dump() == before
        told = [event.action for event in (await audit.list_events(tenant.owner)).events]
        assert told.count("run_started") == 2

    async def test_it_is_asked_for_like_any_undo(self, m365: Sandbox, runner: Worker) -> None:
        tenant = await tenant_of(m365, {"rules": [{"risk": "low", "roles": ["approver"]}]})
        flow = await tenant.publish(self.document(update("A"), FAIL))
        run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
        asked = await wait_for_question(tenant.engineer, run_id)
        await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
        await wait_for(tenant.engineer, run_id)
        back = await self.compensation(tenant, run_id)
        again = await wait_for_question(tenant.engineer, back)
        assert len(changing(m365)) == 1
        with pytest.raises(Forbidden):
            await approvals.decide(tenant.engineer, again.id, decision="approve", seal=again.seal, mfa=True)
        await approvals.decide(tenant.approver, again.id, decision="approve", seal=again.seal, mfa=True)
        assert (await wait_for(tenant.engineer, back)).state == "succeeded"

    async def test_cancelled_only_where_it_says_so(self, m365: Sandbox, runner: Worker) -> None:
        tenant = await tenant_of(m365)
        for rule, count in (({}, 0), ({"on_cancel": "compensate"}, 1)):
            flow = await tenant.publish(self.document(update(f"A{count}"), ASK, **rule))
            run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
            await wait_for_question(tenant.engineer, run_id)
            await runs.cancel(tenant.engineer, run_id)
            run = await wait_for(tenant.engineer, run_id)
            assert len(run.followed_by) == count

    async def test_it_survives_kill_9_and_keeps_the_slot(self, m365: Sandbox, relay: Relay, stack: TestStack) -> None:
        """The worker is killed while it takes back; the next run of the key begins after that, not in between."""
        assert relay.runner
        tenant = await tenant_of(m365)
        before = m365.control.dump()
        rule = {"concurrency": {"key": "one"}}
        flow = await tenant.publish(self.document(CREATE, FAIL, **rule))
        m365.control.fault("slow", writes=True, seconds=3, operation="DELETE")
        first = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
        second = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
        await off_loop(wait_until, lambda: len(m365.control.writes()) >= 2, 30, "the compensation to write")
        await off_loop(relay.replace)
        for run_id in (first, second):
            assert (await wait_for(tenant.engineer, run_id, seconds=60)).state == "failed"
            back = await wait_for(tenant.engineer, await self.compensation(tenant, run_id), seconds=60)
            assert back.state == "succeeded", back.reason
        assert m365.control.dump() == before
        assert len(changing(m365)) == 4, "made twice, taken back twice"
        await off_loop(wait_until, lambda: slots(stack, tenant) == 0, 20, "the slots to be free")


class TestHandler:
    INPUTS: Json = {  # noqa: RUF012 - a constant of the tests
        "type": "object",
        "properties": {"run": {"type": "string"}, "error": {"type": "string"}, "node": {"type": "string"}},
        "required": ["run", "error", "node"],
    }

    async def handler(self, tenant: Tenant, *nodes: Json) -> None:
        document = chain("Tell", *(nodes or ({"id": "a", "type": "flow.noop"},)), inputs=self.INPUTS)
        await tenant.publish({**document, "error_handler": {"workflow": "Tell"}})

    async def test_it_is_told_what_failed(self, m365: Sandbox, runner: Worker) -> None:
        tenant = await tenant_of(m365)
        await self.handler(tenant)
        flow = await tenant.publish({**chain("Handled", FAIL), "error_handler": {"workflow": "Tell"}})
        run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
        (told,) = run.followed_by
        assert told.why == "handler"
        found = await wait_for(tenant.engineer, told.id)
        assert (found.state, found.follows, found.workflow_name) == ("succeeded", run.id, "Tell")
        assert found.inputs == {"run": str(run.id), "error": "It does not go on.", "node": "fail"}

    async def test_it_never_handles_itself(self, m365: Sandbox, runner: Worker) -> None:
        tenant = await tenant_of(m365)
        await self.handler(tenant, FAIL)
        flow = await tenant.publish({**chain("Handled", FAIL), "error_handler": {"workflow": "Tell"}})
        run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
        found = await wait_for(tenant.engineer, run.followed_by[0].id)
        assert (found.state, found.followed_by) == ("failed", ())
        assert len(await runs.list_runs(tenant.engineer)) == 2

    async def test_one_that_cannot_be_started_is_told(self, m365: Sandbox, runner: Worker) -> None:
        tenant = await tenant_of(m365)
        document = {**chain("Handled", FAIL), "error_handler": {"workflow": "Nobody"}}
        (warning,) = await workflows.validate(tenant.engineer, document)
        assert (warning.code, warning.severity) == ("no_handler", "warning")
        flow = await tenant.publish(document)
        run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
        assert (run.state, run.followed_by) == ("failed", ())
        told = [e for e in (await audit.list_events(tenant.owner)).events if e.action == "error_handler_failed"]
        assert [event.details["problem"] for event in told] == ["no_such_workflow"]
