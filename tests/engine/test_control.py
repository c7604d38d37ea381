"""Runs that are paused, cancelled at awkward moments, run again from a step, and looked at as they were."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.core.context import Actor
from app.core.errors import Forbidden, Invalid, Stale
from app.services import accounts, approvals, audit, clients, runs
from app.services.run_views import RunView
from connectors.testing import Sandbox
from tests.engine.kit import (
    NO_POLICY,
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


def disable(node: str = "step", user: str = LIAM, **more: Any) -> Json:
    return {"id": node, "type": "m365.user.disable", "connection": "m365", "params": {"user": user}, **more}


def update(department: str, node: str = "step") -> Json:
    params = {"user": LIAM, "department": department}
    return {"id": node, "type": "m365.user.update", "connection": "m365", "params": params}


def look(node: str = "look") -> Json:
    return {"id": node, "type": "m365.user.get", "connection": "m365", "params": {"user": LIAM}}


def noop(node: str) -> Json:
    return {"id": node, "type": "flow.noop"}


ASK = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}


async def tenant_of(m365: Sandbox, policy: Json | None = None) -> Tenant:
    tenant = await make_tenant(NO_POLICY if policy is None else policy)
    await tenant.connect(m365)
    m365.control.clear_log()
    return tenant


async def begun(m365: Sandbox, *nodes: Json, **more: Any) -> tuple[Tenant, UUID]:
    tenant = await tenant_of(m365)
    flow = await tenant.publish(chain("Control", *nodes))
    return tenant, await runs.start(tenant.engineer, workflow=flow.id, mode="apply", **more)


def states(run: RunView) -> dict[str, str]:
    return {step.node: step.state for step in run.steps}


async def actions_of(tenant: Tenant) -> list[str]:
    return [event.action for event in (await audit.list_events(tenant.owner)).events]


class TestPause:
    async def test_what_is_in_hand_ends_and_nothing_new_begins(self, m365: Sandbox, runner: Worker) -> None:
        m365.control.fault("slow", writes=True, seconds=2.5)
        tenant, run_id = await begun(m365, update("A", "first"), noop("second"), update("B", "third"))
        await off_loop(wait_until, m365.control.writes, 20, "the write to arrive")
        await runs.pause(tenant.engineer, run_id)
        await runs.pause(tenant.engineer, run_id)
        run = await wait_for(tenant.engineer, run_id, ("paused",))
        assert states(run) == {"first": "succeeded", "second": "pending", "third": "pending"}
        assert run.reason == {"code": "paused", "by": "Engineer"}
        assert run.pause_requested_at is not None
        await runs.resume(tenant.owner, run_id)
        run = await wait_for(tenant.engineer, run_id)
        assert run.state == "succeeded", run.reason
        assert len(changing(m365)) == 2
        told = await actions_of(tenant)
        assert (told.count("run_paused"), told.count("run_resumed")) == (1, 1)
        with pytest.raises(Stale):
            await runs.resume(tenant.engineer, run_id)
        with pytest.raises(Stale):
            await runs.pause(tenant.engineer, run_id)

    async def test_before_it_began(self, m365: Sandbox, runner: Worker, stack: TestStack) -> None:
        """Paused in the gate: an answer meanwhile starts nothing, and after it goes on the world is planned anew."""
        rule = {"rules": [{"risk": "medium", "roles": ["approver"], "count": 1}]}
        tenant = await tenant_of(m365, rule)
        flow = await tenant.publish(chain("Gate", update("A")))
        run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
        asked = await wait_for_question(tenant.engineer, run_id)
        await runs.pause(tenant.engineer, run_id)
        await wait_for(tenant.engineer, run_id, ("paused",))
        await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
        await looked_at(stack, run_id)
        assert (await runs.get(tenant.engineer, run_id)).state == "paused"
        assert changing(m365) == []
        await runs.resume(tenant.engineer, run_id)
        assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"

    async def test_no_timer_fires(self, m365: Sandbox, runner: Worker, stack: TestStack) -> None:
        """A step waits for its next try; paused, its time comes and goes."""
        m365.control.fault("error", writes=True, status=503, times=1)
        tenant, run_id = await begun(m365, update("A") | {"retry": {"attempts": 3, "delay_s": 20, "jitter": False}})
        await wait_for(tenant.engineer, run_id, ("waiting",))
        await runs.pause(tenant.engineer, run_id)
        await wait_for(tenant.engineer, run_id, ("paused",))
        with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
            link.execute(
                "UPDATE step_events SET payload = payload || jsonb_build_object('retry_at', now() - interval '1 min')"
                " WHERE run_id = %s AND payload ? 'retry_at'",
                (run_id,),
            )
            row = link.execute("SELECT ready_at FROM run_queue WHERE run_id = %s", (run_id,)).fetchone()
        assert row == (None,), "nothing will wake it but a person"
        writes = len(m365.control.writes())
        with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
            link.execute("SELECT wake_run(client_id, id) FROM runs WHERE id = %s", (run_id,))
        await looked_at(stack, run_id)
        assert len(m365.control.writes()) == writes
        await runs.resume(tenant.engineer, run_id)
        run = await wait_for(tenant.engineer, run_id)
        assert run.state == "succeeded", run.reason

    async def test_a_paused_run_can_be_cancelled(self, m365: Sandbox, runner: Worker) -> None:
        tenant, run_id = await begun(m365, update("A", "first"), ASK, update("B", "last"))
        await wait_for(tenant.engineer, run_id, ("waiting",))
        await runs.pause(tenant.engineer, run_id)
        await wait_for(tenant.engineer, run_id, ("paused",))
        await runs.cancel(tenant.engineer, run_id)
        run = await wait_for(tenant.engineer, run_id)
        assert (run.state, run.reason) == ("cancelled", {"code": "cancelled", "effects": ["first"]})
        assert run.effects == ("first",)

    async def test_after_its_worker_was_killed_it_is_paused_still(self, m365: Sandbox, relay: Any) -> None:
        assert relay.runner
        m365.control.fault("slow", writes=True, seconds=3)
        tenant, run_id = await begun(m365, update("A", "first"), update("B", "second"))
        await off_loop(wait_until, m365.control.writes, 20, "the write to arrive")
        await runs.pause(tenant.engineer, run_id)
        await off_loop(relay.replace)
        run = await wait_for(tenant.engineer, run_id, ("paused",), seconds=60)
        assert states(run)["second"] == "pending"
        await runs.resume(tenant.engineer, run_id)
        run = await wait_for(tenant.engineer, run_id)
        assert (run.state, len(changing(m365))) == ("succeeded", 2)

    async def test_every_row_of_a_batch(self, m365: Sandbox, runner: Worker) -> None:
        tenant = await tenant_of(m365)
        inputs = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        step = update("{{ inputs.name }}")
        flow = await tenant.publish(chain("Rows", ASK, step, inputs=inputs))
        rows = [{"name": name} for name in ("A", "B", "C")]
        m365.control.fault("slow", writes=False, seconds=120, times=None)  # or it might be planned before it is paused
        held = await runs.start_batch(tenant.engineer, workflow=flow.id, rows=rows, mode="apply")
        await runs.pause(tenant.engineer, held)
        await wait_for(tenant.engineer, held, ("paused",))
        m365.control.clear_faults()
        with pytest.raises(Stale) as refused:
            await runs.pause(tenant.engineer, (await runs.rows_of(tenant.engineer, held))[0].id)
        assert refused.value.code == "row_of_batch", "a row that its batch holds back is not let go by being paused"
        await runs.cancel(tenant.engineer, held)
        await wait_for(tenant.engineer, held)
        batch = await runs.start_batch(tenant.engineer, workflow=flow.id, rows=rows, mode="apply")
        for row in await rows_in(tenant, batch, "waiting"):
            assert row.parent == batch
        await runs.pause(tenant.engineer, batch)
        await rows_in(tenant, batch, "paused")
        assert (await wait_for(tenant.engineer, batch, ("paused",))).state == "paused"
        await runs.resume(tenant.engineer, batch)
        found = await rows_in(tenant, batch, "waiting")
        await runs.cancel(tenant.engineer, batch)
        over = await wait_for(tenant.engineer, batch)
        assert over.state == "cancelled"
        assert {(await runs.get(tenant.engineer, row.id)).state for row in found} == {"cancelled"}


async def rows_in(tenant: Tenant, batch: UUID, state: str) -> list[Any]:
    """The rows of the batch once all have come to ``state``."""
    async with asyncio.timeout(40):
        while True:
            found = await runs.rows_of(tenant.engineer, batch)
            if (await runs.get(tenant.engineer, batch)).seal and all(
                row.state == state and (row.reason or {}).get("code") != "batch" for row in found
            ):
                return found
            await asyncio.sleep(0.05)


async def looked_at(stack: TestStack, run_id: UUID) -> None:
    """Wait until nobody has the run in hand and everything that was asked of it has been seen."""

    def idle() -> bool:
        with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
            query = "SELECT worker_id IS NULL AND ready_at IS NULL FROM run_queue WHERE run_id = %s"
            row = link.execute(query, (run_id,)).fetchone()
        return bool(row and row[0])

    await off_loop(wait_until, idle, 20, "the run to be looked at")


class TestCancel:
    async def test_a_read_is_cut_off(self, m365: Sandbox, runner: Worker) -> None:
        tenant, run_id = await begun(m365, ASK, look(), update("A"))
        asked = await wait_for_question(tenant.engineer, run_id)
        m365.control.fault("slow", writes=False, seconds=120, times=None)
        await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
        await in_step(tenant, run_id, "look", "running")
        await runs.cancel(tenant.engineer, run_id)
        run = await wait_for(tenant.engineer, run_id, seconds=30)
        assert run.state == "cancelled"
        assert states(run) == {"ask": "succeeded", "look": "cancelled", "step": "cancelled"}
        assert run.reason == {"code": "cancelled"}
        m365.control.clear_faults()

    @pytest.mark.parametrize("rows", [0, 2])
    async def test_a_plan_is_cut_off(self, m365: Sandbox, runner: Worker, rows: int) -> None:
        tenant = await make_tenant(NO_POLICY)
        await tenant.connect(m365)
        inputs = {"type": "object", "properties": {"n": {"type": "integer"}}}
        flow = await tenant.publish(chain("Planned", look(), update("A"), inputs=inputs))
        m365.control.clear_log()
        m365.control.fault("slow", writes=False, path="users", seconds=120, times=None)
        asked: Json = {"workflow": flow.id, "mode": "apply"}
        if rows:
            run_id = await runs.start_batch(tenant.engineer, rows=[{"n": n} for n in range(rows)], **asked)
        else:
            run_id = await runs.start(tenant.engineer, **asked)
        await off_loop(wait_until, lambda: any("users" in each["path"] for each in m365.control.log()), 30, "a look")
        await runs.cancel(tenant.engineer, run_id)
        run = await wait_for(tenant.engineer, run_id, seconds=30)
        assert (run.state, run.reason) == ("cancelled", {"code": "cancelled"})
        assert [row.state for row in run.runs] == ["cancelled"] * rows
        assert m365.control.writes() == []
        m365.control.clear_faults()

    async def test_a_plan_that_was_cut_off_by_a_pause_is_made_when_it_goes_on(
        self, m365: Sandbox, runner: Worker
    ) -> None:
        tenant = await make_tenant(NO_POLICY)
        await tenant.connect(m365)
        flow = await tenant.publish(chain("Paused", look()))
        m365.control.clear_log()
        m365.control.fault("slow", writes=False, path="users", seconds=120, times=None)
        run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="plan")
        await off_loop(wait_until, lambda: any("users" in each["path"] for each in m365.control.log()), 30, "a look")
        await runs.pause(tenant.engineer, run_id)
        await wait_for(tenant.engineer, run_id, ("paused",), seconds=30)
        m365.control.clear_faults()
        await runs.resume(tenant.engineer, run_id)
        assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"

    async def test_a_write_that_was_not_sent_yet_is_cut_off(self, m365: Sandbox, runner: Worker) -> None:
        """It still looks at what it would change."""
        tenant, run_id = await begun(m365, ASK, update("A"))
        asked = await wait_for_question(tenant.engineer, run_id)
        m365.control.clear_log()
        m365.control.fault("slow", writes=False, seconds=120, times=None)
        await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
        await off_loop(wait_until, m365.control.log, 20, "the look")
        await runs.cancel(tenant.engineer, run_id)
        run = await wait_for(tenant.engineer, run_id, seconds=30)
        assert (run.state, states(run)["step"]) == ("cancelled", "cancelled")
        assert m365.control.writes() == []
        m365.control.clear_faults()

    async def test_the_wait_for_the_next_try_is_cut_off(self, m365: Sandbox, runner: Worker) -> None:
        m365.control.fault("error", writes=True, status=503, times=None)
        policy = {"attempts": 3, "delay_s": 3600, "max_delay_s": 3600, "jitter": False}
        tenant, run_id = await begun(m365, update("A") | {"retry": policy})
        await wait_for(tenant.engineer, run_id, ("waiting",))
        await runs.cancel(tenant.engineer, run_id)
        run = await wait_for(tenant.engineer, run_id)
        assert (run.state, states(run)) == ("cancelled", {"step": "cancelled"})
        assert run.effects == ()

    async def test_a_write_in_flight_is_awaited_and_said(self, m365: Sandbox, runner: Worker) -> None:
        m365.control.fault("slow", writes=True, seconds=2.5)
        tenant, run_id = await begun(m365, update("A"), noop("after"))
        await off_loop(wait_until, m365.control.writes, 20, "the write to arrive")
        await runs.cancel(tenant.engineer, run_id)
        run = await wait_for(tenant.engineer, run_id)
        assert run.reason == {"code": "cancelled", "effects": ["step"]}
        assert (run.effects, run.summary["change"]) == (("step",), 1)

    async def test_asked_while_the_last_step_ends_it_is_cancelled_or_refused(
        self, m365: Sandbox, runner: Worker, stack: TestStack
    ) -> None:
        """Thirty runs, each cancelled at another moment around its end: what was accepted never ends as succeeded."""
        tenant = await tenant_of(m365)
        flow = await tenant.publish(chain("Race", noop("a"), noop("b"), noop("c")))
        accepted = {}
        for number in range(30):
            run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
            await asyncio.sleep(number * 0.002)
            try:
                await runs.cancel(tenant.engineer, run_id)
                accepted[run_id] = True
            except Stale:
                accepted[run_id] = False
        for run_id, yes in accepted.items():
            assert (await wait_for(tenant.engineer, run_id)).state == ("cancelled" if yes else "succeeded")

    async def test_asked_just_before_the_end_is_written(self, m365: Sandbox, runner: Worker, stack: TestStack) -> None:
        """The request is committed while the worker waits for the row to write the end: it sees it, and says cancelled.

        The step has done its work, and the run says so.
        """
        m365.control.fault("slow", writes=True, seconds=3)
        tenant, run_id = await begun(m365, update("A"))
        await off_loop(wait_until, m365.control.writes, 20, "the write to arrive")

        def hold() -> None:
            ask = "UPDATE runs SET cancel_requested_at = now() WHERE id = %s"
            with psycopg.connect(stack.superuser_dsn) as link:
                link.execute("SELECT FROM run_queue WHERE run_id = %s FOR UPDATE", (run_id,))
                link.execute("SELECT wake_run(client_id, id) FROM runs WHERE id = %s", (run_id,))
                link.execute(ask, (run_id,))
                blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
                with psycopg.connect(stack.superuser_dsn, autocommit=True) as other:
                    wait_until(lambda: other.execute(blocked, ("%engine_commit%",)).fetchone() != (0,), 20, "the end")

        await off_loop(hold)
        run = await wait_for(tenant.engineer, run_id)
        assert (run.state, states(run)) == ("cancelled", {"step": "succeeded"})
        assert run.reason == {"code": "cancelled", "effects": ["step"]}


async def in_step(tenant: Tenant, run_id: UUID, node: str, state: str) -> None:
    async with asyncio.timeout(30):
        while True:
            if states(await runs.get(tenant.engineer, run_id)).get(node) == state:
                return
            await asyncio.sleep(0.05)


CREATE = {"id": "create", "type": "m365.user.create", "connection": "m365", "params": RENEE}
AFTER = {
    "id": "step", "type": "m365.user.update", "connection": "m365",
    "params": {"user": "{{ steps.create.output.id }}", "department": "Legal"},
}  # fmt: skip


class TestAgain:
    async def test_from_the_step_that_failed_with_what_came_before(self, m365: Sandbox, runner: Worker) -> None:
        m365.control.fault("error", writes=True, status=400, code="Request_BadRequest", operation="PATCH")
        tenant, run_id = await begun(m365, CREATE, AFTER, noop("end"))
        first = await wait_for(tenant.engineer, run_id)
        assert (first.state, states(first)["create"]) == ("failed", "succeeded")
        m365.control.clear_log()
        plan = await wait_for(tenant.engineer, await runs.again(tenant.engineer, run_id, nodes=["step"]))
        assert plan.state == "succeeded", plan.reason
        assert [step["node"] for step in plan.plan] == ["step", "end"]
        assert (plan.steps[0].node, plan.steps[0].kept) == ("create", "kept")
        again = await runs.start(tenant.engineer, workflow=plan.workflow_id, mode="apply", plan=plan.id)
        run = await wait_for(tenant.engineer, again)
        assert run.state == "succeeded", run.reason
        assert states(run) == {"create": "succeeded", "step": "succeeded", "end": "succeeded"}
        assert (run.kind, run.follows, run.why, run.version) == ("run", run_id, "again", first.version)
        assert run.effects == ("step",)
        assert len(changing(m365)) == 1, "the account was not made again"
        assert [(each.id, each.why) for each in (await runs.get(tenant.engineer, run_id)).followed_by] == [
            (plan.id, "again"), (run.id, "again")
        ]  # fmt: skip
        undo = await wait_for(tenant.engineer, await runs.undo(tenant.engineer, run.id))
        assert [step.node for step in undo.steps] == ["step"], "the undo takes back what this run did, and no more"

    async def test_with_an_output_written_by_hand(self, m365: Sandbox, runner: Worker) -> None:
        tenant, run_id = await begun(
            m365, look(), {**AFTER, "params": {"user": "{{ steps.look.output.id }}", "department": "Legal"}}
        )
        first = await wait_for(tenant.engineer, run_id)
        assert first.state == "succeeded", first.reason
        asked = {**look(), "params": {"user": "zoe@sandbox.example"}}
        flow = await tenant.publish(chain("Zoe", asked))
        zoe = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"))
        other = {**first.steps[0].output, "id": zoe.steps[0].output["id"]}
        m365.control.clear_log()
        again = await runs.again(tenant.engineer, run_id, nodes=["step"], outputs={"look": other}, mode="apply")
        run = await wait_for(tenant.engineer, again)
        assert run.state == "succeeded", run.reason
        assert (run.steps[0].kept, run.steps[0].output) == ("edited", other)
        assert run.seal != first.seal
        (write,) = changing(m365)
        assert other["id"] in write["path"]
        started = next(
            e
            for e in (await audit.list_events(tenant.owner)).events
            if e.target == f"run:{again}" and e.action == "run_started"
        )
        assert set(started.details["edited"]) == {"look"}
        assert other["id"] not in str(started.details), "the trail says what was edited and not what it holds"

    async def test_what_is_refused(self, m365: Sandbox, runner: Worker) -> None:
        tenant, run_id = await begun(m365, look(), ASK, update("A"))
        await wait_for(tenant.engineer, run_id, ("waiting",))
        with pytest.raises(Stale):
            await runs.again(tenant.engineer, run_id, nodes=["step"])
        await runs.cancel(tenant.engineer, run_id)
        run = await wait_for(tenant.engineer, run_id)
        for nodes in (["nowhere"], []):
            with pytest.raises(Invalid):
                await runs.again(tenant.engineer, run_id, nodes=nodes)
        wrong = {**run.steps[0].output, "id": 7}
        with pytest.raises(Invalid) as refused:
            await runs.again(tenant.engineer, run_id, nodes=["step"], outputs={"look": wrong})
        assert [problem.field for problem in refused.value.problems] == ["outputs.look.id"]
        helper = await helpdesk(tenant)
        with pytest.raises(Forbidden):
            await runs.again(helper, run_id, nodes=["step"], outputs={"look": run.steps[0].output}, mode="apply")
        plan = await wait_for(tenant.engineer, await runs.again(tenant.engineer, run_id, nodes=["ask"]))
        with pytest.raises(Stale):
            await runs.again(tenant.engineer, plan.id, nodes=["ask"])

    async def test_one_key_is_one_run(self, m365: Sandbox, runner: Worker) -> None:
        tenant, run_id = await begun(m365, look(), update("A"))
        await wait_for(tenant.engineer, run_id)

        async def again(**asked: Any) -> UUID:
            return await runs.again(tenant.engineer, run_id, **{"nodes": ["step"], "idempotency_key": "k", **asked})

        first, second = await asyncio.gather(again(), again())
        assert first == second == await again()
        for other in ({"nodes": ["look"]}, {"mode": "apply"}, {"outputs": {"look": {}}}):
            with pytest.raises(Stale) as refused:
                await again(**other)
            assert refused.value.code == "idempotency_other"
        assert await again(idempotency_key="l") != first

    @pytest.mark.parametrize("only", ["look", "step"])
    async def test_a_run_of_one_step_is_run_again_as_that(self, only: str, m365: Sandbox, runner: Worker) -> None:
        tenant = await make_tenant(NO_POLICY)
        await tenant.connect(m365)
        flow = await tenant.publish(chain("One of three", look(), update("A"), noop("end")))
        started = await runs.start(tenant.engineer, workflow=flow.id, mode="apply", only_node=only)
        first = await wait_for(tenant.engineer, started)
        assert first.state == "succeeded", first.reason
        with pytest.raises(Invalid) as refused:
            await runs.again(tenant.engineer, first.id, nodes=["end"])
        assert [(one.code, one.field) for one in refused.value.problems] == [("only_that_step", "nodes")]
        again = await runs.again(tenant.engineer, first.id, nodes=[only], mode="apply")
        run = await wait_for(tenant.engineer, again)
        assert run.state == "succeeded", run.reason
        assert states(run) == {"look": "skipped", "step": "skipped", "end": "skipped", only: "succeeded"}

    async def test_a_run_that_was_taken_back_is_not_gone_on_with(self, m365: Sandbox, runner: Worker) -> None:
        m365.control.fault("error", writes=True, status=400, code="Request_BadRequest", operation="PATCH")
        tenant, run_id = await begun(m365, CREATE, AFTER)
        await wait_for(tenant.engineer, run_id)
        await wait_for(tenant.engineer, await runs.undo(tenant.engineer, run_id))
        with pytest.raises(Stale) as refused:
            await runs.retry(tenant.engineer, run_id)
        assert refused.value.code == "run_undone"


async def helpdesk(tenant: Tenant) -> Any:
    here = clients.system_context("setup", tenant.client_id, tenant.owner.client_slug)
    person = await accounts.create(here, email=f"help-{tenant.client_id}@test.example", name="Help", role="helpdesk")
    return await clients.enter(Actor(account_id=person.id, email=person.email, name=person.name), here.client_slug)


class TestMoments:
    async def test_each_event_and_each_time(self, m365: Sandbox, runner: Worker) -> None:
        tenant, run_id = await begun(m365, update("A", "first"), ASK, update("B", "last"))
        asked = await wait_for_question(tenant.engineer, run_id)
        before = await runs.get(tenant.engineer, run_id)
        await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
        run = await wait_for(tenant.engineer, run_id)
        assert run.state == "succeeded", run.reason
        then = await runs.at(tenant.engineer, run_id, before.seq)
        assert then.steps == before.steps
        assert (then.state, then.effects, then.seq) == ("waiting", ("first",), before.seq)
        assert [(found.state, found.decisions) for found in then.approvals] == [("open", ())]
        start = await runs.at(tenant.engineer, run_id, 0)
        assert (start.state, {step.state for step in start.steps}, start.effects) == ("queued", {"pending"}, ())
        end = await runs.at(tenant.engineer, run_id, run.seq)
        assert (end.state, end.steps, end.reason, end.effects) == (run.state, run.steps, run.reason, run.effects)
        moments = [await runs.at(tenant.engineer, run_id, number) for number in range(run.seq + 1)]
        for moment in moments[1:]:
            assert moment.at is not None
            assert (await runs.at(tenant.engineer, run_id, moment.at)).seq >= moment.seq
        assert (await runs.at(tenant.engineer, run_id, run.created_at)).seq == 0
        for wrong in (-1, run.seq + 1, run.created_at - timedelta(seconds=1), run.created_at.replace(tzinfo=None)):
            with pytest.raises(Invalid):
                await runs.at(tenant.engineer, run_id, wrong)
