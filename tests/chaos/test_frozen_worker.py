"""A worker that hangs, and one that is asked to go: the work goes on elsewhere, and is not done twice."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.services import runs
from connectors.testing import Sandbox
from tests.engine.kit import (
    NO_POLICY,
    Tenant,
    Worker,
    Workers,
    chain,
    changing,
    make_tenant,
    off_loop,
    only_step,
    wait_for,
    wait_until,
)
from tests.servers import TestStack

Json = dict[str, Any]
RENEE = {"user_principal_name": "renee@sandbox.example", "display_name": "Renée", "usage_location": "FR"}
# Longer than another worker takes to start and to claim the run.
TIMEOUT_S = 20


async def begun(m365: Sandbox, document: Json) -> tuple[Tenant, Any]:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    flow = await tenant.publish(document)
    m365.control.clear_log()
    return tenant, await runs.start(tenant.engineer, workflow=flow.id, mode="apply")


@pytest.mark.chaos
@pytest.mark.parametrize("when", ["after", "before"])
async def test_frozen_past_its_lease(when: str, m365: Sandbox, workers: Workers, stack: TestStack) -> None:
    """Frozen with a call on its way; taken for dead; another goes on after the call's deadline; then it wakes up."""
    (frozen,) = workers.start()
    m365.control.fault("timeout", writes=True, when=when, seconds=60)
    retry = {"attempts": 3, "delay_s": 0.2}
    tenant, run_id = await begun(m365, only_step("m365.user.create", RENEE, timeout_s=TIMEOUT_S, retry=retry))
    await off_loop(wait_until, m365.control.writes, 20, "the write to arrive")
    frozen.freeze()
    (other,) = await off_loop(workers.start)
    expire_lease(stack, frozen)
    before = m365.control.log()[-1]["seq"]
    reap(stack)
    await taken_over(tenant, run_id)
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    sent = [datetime.fromisoformat(record["at"]) for record in m365.control.log() if record["seq"] > before]
    assert min(sent) >= deadline_of(stack, run_id), "the frozen worker's call had all its time"
    assert run.steps[0].adopted == (when == "after")
    assert len(changing(m365)) == 1
    frozen.wake()
    assert await off_loop(frozen.process.wait, 30) == 1, "it finds its lease gone and ends by itself"
    after = await runs.get(tenant.engineer, run_id)
    assert (after.state, after.steps) == (run.state, run.steps), "it wrote nothing any more"
    assert len(changing(m365)) == 1
    assert other.process.poll() is None


async def taken_over(tenant: Tenant, run_id: UUID) -> None:
    """Return when the run says that it waits for a former worker's call. Raises AssertionError where it goes on."""
    async with asyncio.timeout(20):
        while (run := await runs.get(tenant.engineer, run_id)).reason is None:
            assert run.state == "running", "nobody has waited for the frozen worker's call"
            await asyncio.sleep(0.05)
    assert (run.state, run.reason["code"]) == ("running", "takeover")


def deadline_of(stack: TestStack, run_id: UUID) -> datetime:
    """Until when the first call may be on its way."""
    query = (
        "SELECT (payload ->> 'deadline')::timestamptz FROM step_events"
        " WHERE run_id = %s AND kind = 'intended' ORDER BY seq LIMIT 1"
    )
    with psycopg.connect(stack.superuser_dsn) as link:
        row = link.execute(query, (run_id,)).fetchone()
    assert row is not None
    return datetime.fromisoformat(str(row[0]))


def expire_lease(stack: TestStack, worker: Worker) -> None:
    """Let this one be taken for dead, as if ten seconds had gone by."""
    late = "UPDATE worker_leases SET expires_at = now() - interval '1 second' WHERE name LIKE %s"
    with psycopg.connect(stack.superuser_dsn) as link:
        assert link.execute(late, (f"%-{worker.process.pid}",)).rowcount == 1


def reap(stack: TestStack) -> None:
    """What the scheduler does every second."""
    with psycopg.connect(stack.dsn("scheduler"), autocommit=True) as link:
        link.execute("SELECT doors.reap_dead_workers()")


@pytest.mark.chaos
async def test_asked_to_go_in_the_middle_it_hands_over(m365: Sandbox, workers: Workers) -> None:
    (first,) = workers.start()
    m365.control.fault("slow", writes=True, seconds=2)
    disable = only_step("m365.user.disable", {"user": "zoe@sandbox.example"})["nodes"][0]
    create = {**only_step("m365.user.create", RENEE)["nodes"][0], "id": "create"}
    tenant, run_id = await begun(m365, chain("Handed over", disable, create))
    await off_loop(wait_until, m365.control.writes, 20, "the write to arrive")
    assert await off_loop(first.end) == 0
    assert len(changing(m365)) == 1, "the step in hand was finished, the next one not begun"
    workers.start()
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    assert [(step.state, step.adopted) for step in run.steps] == [("succeeded", False)] * 2
    assert len(changing(m365)) == 2


@pytest.mark.chaos
async def test_asked_to_go_right_after_the_start(workers: Workers) -> None:
    """A signal that comes while RQ is still setting itself up is not lost."""
    (worker,) = workers.start()
    assert worker.end() == 0
