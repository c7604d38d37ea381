"""One client's load on real workers does not hold up another's one run."""

from __future__ import annotations

import psycopg

from app.services import client_limits, runs
from connectors.testing import Sandbox
from tests.engine.kit import NO_POLICY, Workers, chain, make_tenant, off_loop, wait_for, wait_until
from tests.servers import TestStack

_LONG = {"id": "look", "type": "m365.user.list", "connection": "m365", "params": {}}


def _claimed(stack: TestStack, client: object) -> int:
    with psycopg.connect(stack.superuser_dsn) as link:
        row = link.execute(
            "SELECT count(*) FROM run_queue WHERE client_id = %s AND worker_id IS NOT NULL", [client]
        ).fetchone()
    assert row is not None
    return int(row[0])


async def test_one_clients_long_runs_do_not_hold_up_another_ones(
    web: TestStack, m365: Sandbox, workers: Workers
) -> None:
    """Sixty runs whose platform does not answer fill all places but those that are kept for others."""
    heavy, light = await make_tenant(NO_POLICY), await make_tenant(NO_POLICY)
    await heavy.connect(m365)
    m365.control.fault("timeout", times=None, seconds=600, when="before", path="users")
    long = await heavy.publish(chain("Long", _LONG))
    short = await light.publish(chain("Short", {"id": "n", "type": "flow.noop"}))
    for _ in range(60):
        await runs.start(heavy.engineer, workflow=long.id, mode="plan")
    [worker] = workers.start()
    await off_loop(wait_until, lambda: _claimed(web, heavy.client_id) >= 48, 30, "the places to be taken")
    run_id = await runs.start(light.engineer, workflow=short.id, mode="apply")
    assert (await wait_for(light.engineer, run_id)).state == "succeeded"
    assert _claimed(web, heavy.client_id) == 48
    assert not await runs.list_runs(heavy.engineer, state=("succeeded", "failed", "cancelled"))
    worker.kill()


async def test_a_worker_keeps_to_the_limit_of_a_client(web: TestStack, m365: Sandbox, workers: Workers) -> None:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    flow = await tenant.publish(chain("Limited", {"id": "n", "type": "flow.noop"}, _LONG))
    await client_limits.change(tenant.owner, max_running=2, starts_per_minute=None, history_days=None)
    ids = [await runs.start(tenant.engineer, workflow=flow.id, mode="apply") for _ in range(6)]
    m365.control.fault("slow", times=None, seconds=0.4)
    workers.start(2)
    most = 0
    while (await runs.list_runs(tenant.engineer, state=("queued", "running"))) != []:
        most = max(most, _claimed(web, tenant.client_id))
    assert most == 2
    assert {(await runs.get(tenant.engineer, each)).state for each in ids} == {"succeeded"}
