"""A worker's memory does not grow with the steps it has walked. MEMORY_STEPS=100000 and MEMORY_LOG=file measure."""

from __future__ import annotations

import os
from pathlib import Path

from app.services import runs
from tests.engine.kit import NO_POLICY, Tenant, Worker, Workers, chain, make_tenant, wait_for

STEPS = int(os.environ.get("MEMORY_STEPS", "6000"))
CHAIN = 300
# What an interpreter's heap breathes by, and much less than what the history of these steps takes.
SLACK_MB = 16.0


def resident_mb(worker: Worker) -> float:
    """Memory that the worker's process holds."""
    for line in Path(f"/proc/{worker.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def keep(measured: str) -> None:
    """Write down what was measured, where somebody wants it."""
    Path(os.environ.get("MEMORY_LOG", os.devnull)).write_text(f"{measured}\n")


async def walk(tenant: Tenant, flow: object, steps: int) -> None:
    for _ in range(max(1, steps // CHAIN)):
        run_id = await runs.start(tenant.engineer, workflow=str(flow), mode="apply")
        assert (await wait_for(tenant.engineer, run_id, seconds=120)).state == "succeeded"


async def test_a_workers_memory_stays_flat(workers: Workers) -> None:
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(chain("Long", *({"id": f"n{number}", "type": "flow.noop"} for number in range(CHAIN))))
    [worker] = workers.start()
    await walk(tenant, flow.id, 1500)  # what is compiled, opened and kept once
    before = resident_mb(worker)
    await walk(tenant, flow.id, STEPS)
    after = resident_mb(worker)
    keep(f"{STEPS} steps: {before:.1f} MB, then {after:.1f} MB")
    assert after - before < SLACK_MB, f"{before:.0f} MB grew to {after:.0f} MB over {STEPS} steps"
