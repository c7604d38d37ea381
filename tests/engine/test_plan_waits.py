"""A platform that cannot be asked for a moment, while a run is planned: it is asked again, and nothing is decided."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from app.services import runs
from connectors.testing import Sandbox
from tests.engine.kit import NO_POLICY, Tenant, Worker, Workers, chain, make_tenant, wait_for

Json = dict[str, Any]
AWAY: Json = {"kind": "error", "status": 503}
WAITS: Json = {"attempts": 2, "delay_s": 2.1, "backoff": "fixed", "jitter": False}
INPUTS: Json = {"type": "object", "properties": {"n": {"type": "integer"}}}


@pytest.fixture
def api(sandboxes: dict[str, Sandbox]) -> Sandbox:
    """A web API as it was seeded, without faults. It is asked once a look: nobody on the way asks again."""
    sandboxes["http"].reset()
    return sandboxes["http"]


async def flow_of(api: Sandbox, retry: Json) -> tuple[Tenant, UUID]:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(api)
    params = {"url": "https://api.sandbox.example/tickets"}
    step = {"id": "step", "type": "http.request.get", "connection": "http", "params": params, "retry": retry}
    flow = await tenant.publish(chain("Asks again", step, inputs=INPUTS))
    api.control.clear_log()
    return tenant, flow.id


def looks(api: Sandbox) -> int:
    return len(api.control.log())


async def given_back(tenant: Tenant, run_id: UUID) -> Json:
    """Why the run waits in the queue, as soon as it says that it is to be planned again."""
    while True:
        run = await wait_for(tenant.engineer, run_id, ("waiting", "failed", "succeeded"))
        if run.reason and run.reason.get("phase") == "plan":
            assert run.state == "waiting"
            return run.reason
        assert run.state == "waiting"
        await asyncio.sleep(0.05)


async def test_a_passing_fault_is_waited_out(api: Sandbox, runner: Worker) -> None:
    tenant, flow = await flow_of(api, {"attempts": 3, "delay_s": 0.1})
    api.control.fault(**AWAY, times=2)
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow, mode="plan"))
    assert (run.state, run.reason, looks(api)) == ("succeeded", None, 3)


async def test_a_run_is_seen_while_it_is_being_planned(api: Sandbox, runner: Worker) -> None:
    tenant, flow = await flow_of(api, {"attempts": 1})
    api.control.fault("slow", seconds=8, times=1)
    run_id = await runs.start(tenant.engineer, workflow=flow, mode="apply")
    run = await wait_for(tenant.engineer, run_id, ("running", "failed", "succeeded"))
    assert (run.state, run.seal, run.plan) == ("running", None, ()), "the platform has not answered yet"
    assert run.started_at is not None
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"


async def test_a_worker_that_stops_hands_over_what_it_plans(api: Sandbox, runner: Worker, workers: Workers) -> None:
    """Whoever waited for the look that is given up would come too late for us."""
    tenant, flow = await flow_of(api, {"attempts": 1})
    api.control.fault("slow", seconds=90, times=1)
    run_id = await runs.start(tenant.engineer, workflow=flow, mode="apply")
    await wait_for(tenant.engineer, run_id, ("running",))
    [second] = workers.start()
    assert await asyncio.to_thread(runner.end) == 0
    run = await wait_for(tenant.engineer, run_id)
    assert looks(api) == 3, "one that was given up, one to plan it, one to do it"
    assert run.state == "succeeded"
    assert b"run.fence_lost" not in runner.log.read_bytes() + second.log.read_bytes()


async def test_a_long_wait_is_the_queueʼs(api: Sandbox, runner: Worker) -> None:
    tenant, flow = await flow_of(api, WAITS)
    api.control.fault(**AWAY, times=1)
    run_id = await runs.start(tenant.engineer, workflow=flow, mode="apply")
    reason = await given_back(tenant, run_id)
    assert (reason["code"], reason["node"], reason["after_s"]) == ("retry", "step", 2.1)
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, run.reason, looks(api)) == ("succeeded", None, 3), "two to plan it, one to do it"


async def test_looks_are_counted_from_walk_to_walk(api: Sandbox, runner: Worker) -> None:
    tenant, flow = await flow_of(api, WAITS)
    api.control.fault(**AWAY, times=None)
    run_id = await runs.start(tenant.engineer, workflow=flow, mode="apply")
    await given_back(tenant, run_id)
    run = await wait_for(tenant.engineer, run_id)
    assert (run.state, run.reason and run.reason["phase"], looks(api)) == ("failed", "plan", 2)


async def test_a_step_that_is_tried_once_is_looked_for_once(api: Sandbox, runner: Worker) -> None:
    tenant, flow = await flow_of(api, {"attempts": 1})
    api.control.fault(**AWAY, times=None)
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow, mode="plan"))
    assert (run.state, looks(api)) == ("failed", 1)


async def test_a_refusal_is_not_waited_out(api: Sandbox, runner: Worker) -> None:
    tenant, flow = await flow_of(api, {"attempts": 3, "delay_s": 0.1})
    api.control.fault("error", status=403, times=None)
    run = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=flow, mode="plan"))
    assert (run.state, looks(api)) == ("failed", 1)


async def test_the_rows_of_a_batch_wait_once_for_a_platform_that_is_away(api: Sandbox, runner: Worker) -> None:
    tenant, flow = await flow_of(api, {"attempts": 3, "delay_s": 0.1})
    api.control.fault(**AWAY, times=None)
    batch_id = await runs.start_batch(tenant.engineer, workflow=flow, rows=[{"n": n} for n in range(4)], mode="plan")
    batch = await wait_for(tenant.engineer, batch_id)
    assert (batch.state, batch.reason) == ("failed", {"code": "all_rows_refused"})
    assert looks(api) == 3 + 3, "the first row is patient; the others see that there is no point"
