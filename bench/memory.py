"""memory: what one worker holds while it walks 100,000 steps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from app.data import routing
from app.services import workflows
from bench.stack import Bench
from bench.tenant import make_tenant
from bench.waiting import chain, result, walked

STEPS = 1000
CHAINS = max(20, int(100 * float(os.environ.get("OPSLOOM_BENCH_SCALE", "1"))))


async def memory(bench: Bench, times: int) -> dict[str, Any]:
    """MiB resident after all steps. The limit is what it held after the first tenth: flat means that they are equal."""
    routing.configure("web", bench.settings)
    ctx = await make_tenant()
    flow = await workflows.import_document(ctx, document=chain("memory", STEPS))
    held = []
    with bench.workers(1) as (worker,):
        for _ in range(CHAINS):
            await walked(bench, ctx, flow.id)
            held.append(_resident_mib(worker.pid))
    await routing.dispose()
    most, half = max(held), held[CHAINS // 2]
    note = f"{CHAINS * STEPS} steps in {CHAINS} runs on one worker; most {most:.1f} MiB, half way {half:.1f}"
    return result(bench, "memory", "MiB", held[-1], held[CHAINS // 10], 1, note)


def _resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
