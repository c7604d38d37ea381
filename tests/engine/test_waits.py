"""Steps that wait: for a while, until a moment, until something is so; whatever happens to the worker meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from redis import Redis

from app.services import runs
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
    wait_for,
    waiting,
)
from tests.servers import TestStack

Json = dict[str, Any]
LIAM = "liam.o'connor@sandbox.example"
NOOP = {"id": "after", "type": "flow.noop"}
DISABLE = {"id": "after", "type": "m365.user.disable", "connection": "m365", "params": {"user": LIAM}}


def wait(**params: Any) -> Json:
    return {"id": "wait", "type": "flow.wait", "params": params}


def until(expression: str, user: str = LIAM, **more: Any) -> Json:
    found = wait(mode="condition", read="m365.user.get", read_params={"user": user}, expression=expression, **more)
    return {**found, "connection": "m365"}


def with_timeout(node: Json) -> Json:
    document = chain("With a deadline", node, NOOP)
    document["nodes"].append({"id": "late", "type": "flow.noop"})
    document["edges"].append({"source": "wait", "target": "late", "port": "timeout"})
    return document


async def started(document: Json, m365: Sandbox | None = None) -> tuple[Tenant, RunView]:
    """The run once it waits or is over."""
    tenant = await make_tenant(NO_POLICY)
    if m365:
        await tenant.connect(m365)
        m365.control.clear_log()
    flow = await tenant.publish(document)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    return tenant, await waiting(tenant.engineer, run_id)


def states(run: RunView) -> dict[str, str]:
    return {step.node: step.state for step in run.steps}


def step(run: RunView, node: str = "wait") -> Any:
    return next(one for one in run.steps if one.node == node)


def bring_forward(stack: TestStack, run_id: UUID, seconds: float) -> None:
    """Let ``seconds`` have gone by: what the run waits for is that much nearer, and so is its place in the queue."""
    moved = f"interval '{seconds} seconds'"
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        for name in ("at", "since", "deadline"):
            link.execute(
                f"UPDATE step_events SET payload = jsonb_set(payload, '{{what,{name}}}',"
                f" to_jsonb((payload -> 'what' ->> '{name}')::timestamptz - {moved}))"
                f" WHERE run_id = %s AND payload -> 'what' ? '{name}'",
                (run_id,),
            )
        link.execute(f"UPDATE run_queue SET ready_at = ready_at - {moved} WHERE run_id = %s", (run_id,))


async def meddle(m365: Sandbox, node: Json) -> None:
    """Somebody else changes the tenant."""
    elsewhere = await make_tenant(NO_POLICY)
    await elsewhere.connect(m365)
    flow = await elsewhere.publish(chain("Meddle", node))
    run = await wait_for(elsewhere.engineer, await runs.start(elsewhere.engineer, workflow=flow.id, mode="apply"))
    assert run.state == "succeeded", run.reason


async def test_a_short_wait_is_over_in_one_walk(m365: Sandbox, runner: Worker) -> None:
    tenant, run = await started(chain("Short", wait(amount=1, unit="seconds"), NOOP))
    run = await wait_for(tenant.engineer, run.id)
    assert (run.state, states(run)) == ("succeeded", {"wait": "succeeded", "after": "succeeded"})
    waited = [event for event in step(run).attempts if event["kind"] == "waiting"]
    assert len(waited) == 1
    assert datetime.fromisoformat(waited[0]["what"]["at"]) <= step(run).finished_at


async def test_a_long_wait_outlives_its_worker_and_a_flushed_redis(web: TestStack, relay: Relay) -> None:
    relay.runner  # noqa: B018 - starts the one that is to die
    tenant, run = await started(chain("Long", wait(amount=2, unit="hours"), NOOP))
    assert run.state == "waiting"
    assert run.reason is not None
    assert (run.reason["code"], run.reason["node"]) == ("time", "wait")
    at = datetime.fromisoformat(step(run).waiting_for["at"])
    assert timedelta(hours=1.9) < at - datetime.now(UTC) <= timedelta(hours=2, minutes=1)
    relay.replace()
    Redis.from_url(web.redis_url).flushall()
    assert (await runs.get(tenant.engineer, run.id)).state == "waiting"
    bring_forward(web, run.id, 2 * 3600 + 60)
    run = await wait_for(tenant.engineer, run.id)
    assert (run.state, states(run)) == ("succeeded", {"wait": "succeeded", "after": "succeeded"})


async def test_until_a_moment_that_is_past_or_is_none(runner: Worker) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    tenant, run = await started(chain("Past", wait(mode="moment", moment=yesterday), NOOP))
    assert (await wait_for(tenant.engineer, run.id)).state == "succeeded"
    tenant, run = await started(chain("None", wait(mode="moment", moment="{{ run.label }}soon"), NOOP))
    assert (run.state, run.reason and run.reason["code"]) == ("failed", "not_a_moment")
    assert states(run)["after"] != "succeeded"


async def test_cancelled_while_it_waits(runner: Worker) -> None:
    tenant, run = await started(chain("Cancelled", wait(amount=3, unit="days"), NOOP))
    await runs.cancel(tenant.engineer, run.id)
    run = await wait_for(tenant.engineer, run.id)
    assert (run.state, states(run)) == ("cancelled", {"wait": "cancelled", "after": "cancelled"})


async def test_what_is_so_already_is_not_waited_for(m365: Sandbox, runner: Worker) -> None:
    tenant, run = await started(with_timeout(until("found.account_enabled")), m365)
    run = await wait_for(tenant.engineer, run.id)
    assert states(run) == {"wait": "succeeded", "after": "succeeded", "late": "skipped"}
    assert step(run).output["timed_out"] is False
    assert step(run).output["found"]["user_principal_name"] == LIAM


async def test_it_looks_until_it_is_so_though_its_worker_dies(web: TestStack, m365: Sandbox, relay: Relay) -> None:
    relay.runner  # noqa: B018
    tenant, run = await started(with_timeout(until("!found.account_enabled", every_s=3600, deadline_hours=9)), m365)
    assert run.state == "waiting"
    assert run.reason is not None
    assert run.reason["code"] == "until"
    assert step(run).waiting_for["action"] == "m365.user.get"
    relay.replace()
    await meddle(m365, DISABLE)
    bring_forward(web, run.id, 3600)
    run = await wait_for(tenant.engineer, run.id)
    assert (states(run)["after"], states(run)["late"]) == ("succeeded", "skipped")
    assert step(run).output["found"]["account_enabled"] is False


async def test_who_is_not_there_yet_is_looked_for_until_the_deadline(
    web: TestStack, m365: Sandbox, runner: Worker
) -> None:
    missing = until("true", user="nobody.yet@sandbox.example", every_s=600, deadline_hours=1)
    tenant, run = await started(with_timeout(missing), m365)
    assert run.state == "waiting"
    assert step(run).waiting_for["error"]["remedy"] == "NotFound"
    bring_forward(web, run.id, 3601)
    run = await wait_for(tenant.engineer, run.id)
    assert states(run) == {"wait": "succeeded", "after": "skipped", "late": "succeeded"}
    assert step(run).output == {"timed_out": True, "found": None}


async def test_a_passing_fault_is_no_answer(m365: Sandbox, runner: Worker) -> None:
    m365.control.fault("error", writes=False, status=503, code="ServiceUnavailable", times=None, path="(?i)liam")
    tenant, run = await started(with_timeout(until("found.account_enabled", every_s=5)), m365)
    assert run.state == "waiting"
    assert step(run).waiting_for["error"]["remedy"] in ("Retryable", "Throttled")
    m365.control.clear_faults()
    assert (await wait_for(tenant.engineer, run.id)).state == "succeeded"


async def test_a_refused_look_is_tried_again_as_another_look(m365: Sandbox, runner: Worker) -> None:
    m365.control.fault("error", writes=False, status=403, code="Authorization_RequestDenied", times=2, path="(?i)liam")
    retry = {"attempts": 4, "delay_s": 0.1, "on": ["AuthFailed"]}
    tenant, run = await started(with_timeout(until("found.account_enabled", every_s=3600) | {"retry": retry}), m365)
    run = await wait_for(tenant.engineer, run.id)
    assert states(run) == {"wait": "succeeded", "after": "succeeded", "late": "skipped"}
    told = step(run).attempts
    assert [event["kind"] for event in told] == ["waiting", "failed", "waiting", "failed", "waiting", "succeeded"]
    waits = [event["what"] for event in told if event["kind"] == "waiting"]
    assert len({(what["since"], what["deadline"]) for what in waits}) == 1


async def test_a_look_that_is_refused_too_often_fails_with_what_was_said(m365: Sandbox, runner: Worker) -> None:
    m365.control.fault(
        "error", writes=False, status=403, code="Authorization_RequestDenied", times=None, path="(?i)liam"
    )
    retry = {"attempts": 2, "delay_s": 0.1, "on": ["AuthFailed"]}
    tenant, run = await started(with_timeout(until("found.account_enabled") | {"retry": retry}), m365)
    run = await wait_for(tenant.engineer, run.id)
    assert (run.state, run.reason and run.reason["remedy"]) == ("failed", "AuthFailed")
    assert step(run).attempt == 2


async def test_a_wait_in_one_branch_holds_up_no_other(m365: Sandbox, runner: Worker) -> None:
    document = chain("Branches", wait(amount=1, unit="days"))
    document["nodes"].append(DISABLE)
    document["nodes"].append({"id": "start", "type": "flow.noop"})
    document["edges"] = [{"source": "start", "target": "wait"}, {"source": "start", "target": "after"}]
    tenant, run = await started(document, m365)
    run = await wait_for(tenant.engineer, run.id, ("waiting",))
    assert states(run) == {"start": "succeeded", "wait": "waiting", "after": "succeeded"}
    assert len(changing(m365)) == 1
    await runs.cancel(tenant.engineer, run.id)
    assert (await wait_for(tenant.engineer, run.id)).state == "cancelled"


async def test_a_plan_goes_on_and_what_is_found_is_unknown(m365: Sandbox, runner: Worker) -> None:
    document = chain("Planned", until("!found.account_enabled"), DISABLE)
    update = {"user": LIAM, "department": "{{ steps.wait.output.found.department }}"}
    document["nodes"].append({"id": "copy", "type": "m365.user.update", "connection": "m365", "params": update})
    document["edges"].append({"source": "after", "target": "copy"})
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    flow = await tenant.publish(document)
    plan = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="plan"))
    changes = {one["node"]: one["change"] for one in plan.plan}
    assert changes["wait"] is None
    assert changes["after"]["kind"] == "update"
    assert changes["copy"]["kind"] == "unknown"
