"""Valkey flushed and gone, PostgreSQL restarted and killed in the middle of runs: nothing is lost or done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from redis import Redis

from app.services import runs
from connectors.testing import Sandbox, sandbox_of
from tests.engine.kit import (
    NO_POLICY,
    Tenant,
    Workers,
    chain,
    changing,
    leading_to,
    make_tenant,
    off_loop,
    wait_for,
    wait_until,
)
from tests.servers import TestStack

Json = dict[str, Any]
RENEE = {"user_principal_name": "renee@sandbox.example", "display_name": "Renée", "usage_location": "FR"}


@pytest.fixture
def office(house: TestStack) -> Iterator[Sandbox]:
    with ExitStack() as open_ones:
        sandbox = open_ones.enter_context(sandbox_of("m365"))
        open_ones.enter_context(leading_to(sandbox))
        yield sandbox


def job() -> Json:
    """Steps that take a while: the platform answers slowly, each write is one that can be counted."""
    create = {"id": "create", "type": "m365.user.create", "connection": "m365", "params": RENEE}
    nodes: list[Json] = [create]
    for number, groups in enumerate((["Sales"], ["Engineering"], ["L'équipe"])):
        params = {"user": RENEE["user_principal_name"], "groups": groups}
        nodes.append({"id": f"g{number}", "type": "m365.group.add_member", "connection": "m365", "params": params})
    for node in nodes:
        node["retry"] = {"attempts": 6, "delay_s": 0.5}
    return chain("Through an outage", *nodes)


async def begun(office: Sandbox, count: int = 1) -> tuple[Tenant, list[Any]]:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(office)
    flow = await tenant.publish(job())
    office.control.clear_log()
    office.control.fault("slow", writes=True, seconds=0.7, times=None)
    return tenant, [await runs.start(tenant.engineer, workflow=flow.id, mode="apply") for _ in range(count)]


async def done_once(tenant: Tenant, run_id: Any, office: Sandbox) -> None:
    run = await wait_for(tenant.engineer, run_id, seconds=60)
    assert run.state == "succeeded", (run.reason, [(step.node, step.state, step.error) for step in run.steps])
    assert len(changing(office)) == 4
    undo = await wait_for(tenant.engineer, await runs.undo(tenant.engineer, run_id), seconds=60)
    assert undo.state == "succeeded", undo.reason


@pytest.mark.chaos
async def test_valkey_is_flushed_and_then_gone(house: TestStack, office: Sandbox, crew: Workers) -> None:
    (worker,) = crew.start()
    tenant, (run_id,) = await begun(office)
    await off_loop(office.control.wait_for_write, "", seconds=20)
    Redis.from_url(house.redis_url).flushall()
    await off_loop(wait_until, lambda: len(changing(office)) >= 2, 20, "a second write")
    await off_loop(house.control("valkey").stop)
    await done_once(tenant, run_id, office)
    assert worker.process.poll() is None, "the worker lives on without Valkey"
    await off_loop(house.control("valkey").start)
    flow = await tenant.publish(chain("Afterwards", {"id": "n", "type": "flow.noop"}))
    again = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    assert (await wait_for(tenant.engineer, again)).state == "succeeded"
    assert worker.end() == 0, "it heard SIGTERM after all that"


@pytest.mark.chaos
@pytest.mark.parametrize("how", ["restarted", "killed"])
async def test_postgres_goes_away_in_the_middle(how: str, house: TestStack, office: Sandbox, crew: Workers) -> None:
    (worker,) = crew.start()
    tenant, (run_id,) = await begun(office)
    await off_loop(office.control.wait_for_write, "", seconds=20)
    control = house.control("postgres")
    if how == "restarted":
        await off_loop(control.stop)
        await asyncio.sleep(1.0)
    else:
        control.kill()
    await off_loop(control.start)
    await done_once(tenant, run_id, office)
    assert worker.process.poll() is None
    assert worker.end() == 0


@pytest.mark.chaos
async def test_the_vault_is_away_while_a_run_is_taken_over(house: TestStack, office: Sandbox, crew: Workers) -> None:
    """Nobody can look what was done as long as no credential can be read. It is waited for; no person is asked."""
    (first,) = crew.start()
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(office)
    create = {"id": "create", "type": "m365.user.create", "connection": "m365", "params": RENEE}
    flow = await tenant.publish(chain("Taken over", create))
    office.control.clear_log()
    office.control.fault("timeout", writes=True, when="after", seconds=120)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    await off_loop(office.control.wait_for_write, "", seconds=20)
    (second,) = await off_loop(crew.start)
    await off_loop(house.control("openbao").stop)
    first.kill()
    office.control.clear_faults()
    await off_loop(wait_until, lambda: b"recovery.waits" in second.log.read_bytes(), 30, "the other worker to look")
    await off_loop(house.control("openbao").start)
    run = await wait_for(tenant.engineer, run_id, ("waiting", "failed", "succeeded"), seconds=90)
    assert run.state == "succeeded", (run.reason, [(step.node, step.state, step.error) for step in run.steps])
    assert (run.steps[0].adopted, len(changing(office))) == (True, 1)
