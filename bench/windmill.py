"""windmill_light, windmill_heavy: Windmill's benchmark, a chain of 40 x fibo(10) and one of 10 x fibo(33)."""

from __future__ import annotations

import time
from itertools import pairwise
from statistics import median
from typing import Any

from app.data import routing
from app.services import workflows
from bench import computing
from bench.peers import Peers
from bench.peers.common import WINDMILL, fibo
from bench.stack import Bench
from bench.tenant import make_tenant
from bench.waiting import lasted, result, superuser, took, walked


async def windmill_light(bench: Bench, times: int) -> dict[str, Any]:
    return await _windmill(bench, times, "windmill_light")


async def windmill_heavy(bench: Bench, times: int) -> dict[str, Any]:
    return await _windmill(bench, times, "windmill_heavy")


async def _windmill(bench: Bench, times: int, workload: str) -> dict[str, Any]:
    """Seconds of the whole chain on one worker, by PostgreSQL's clock. The limit is a plain Python loop."""
    steps, number = WINDMILL[workload]
    computing.register()
    routing.configure("web", bench.settings)
    ctx = await make_tenant()
    flow = await workflows.import_document(ctx, document=_document(workload, steps, number))
    ours, whole, limits, peers = [], [], [], Peers(superuser(bench), workload)
    with bench.workers(1, command=["bench.computing"]):
        await walked(bench, ctx, flow.id)
        for _ in range(times):
            limits.append(_loop(steps, number))
            run_id = await walked(bench, ctx, flow.id)
            ours.append(took(bench, run_id, steps))
            whole.append(lasted(bench, run_id))
            peers.measure()
    await routing.dispose()
    beside = 1000 * (median(ours) - median(limits)) / steps
    note = (
        f"{steps} x fibo({number}), {beside:.1f} ms a step beside the computing; "
        f"each is a write: planned, sealed, intent, outcome, audited; from the request to the end "
        f"{median(whole):.2f} s{peers.note}"
    )
    return result(bench, workload, "s", median(ours), median(limits), times, note, peers.medians())


def _document(name: str, steps: int, number: int) -> dict[str, Any]:
    nodes = [{"id": f"n{place}", "type": computing.Fibo.id, "params": {"n": number}} for place in range(steps)]
    edges = [{"source": one["id"], "target": other["id"]} for one, other in pairwise(nodes)]
    return {"schema": "opsloom/workflow@1", "name": name, "nodes": nodes, "edges": edges}


def _loop(steps: int, number: int) -> float:
    began = time.perf_counter()
    for _ in range(steps):
        fibo(number)
    return time.perf_counter() - began
