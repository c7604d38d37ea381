"""fanout_1000: one step, then 1000 in parallel, then one that joins them, on two workers."""

from __future__ import annotations

from statistics import median
from typing import Any

from app.data import routing
from app.services import workflows
from bench.limits import insert_rate
from bench.peers import Peers
from bench.stack import Bench
from bench.tenant import make_tenant
from bench.waiting import document, lasted, result, superuser, took, walked

WIDTH = 1000


async def fanout_1000(bench: Bench, times: int) -> dict[str, Any]:
    """Seconds between the first intent and the last outcome, by PostgreSQL's clock. The limit is the time of as many
    one-row INSERTs, intents and outcomes, by one connection."""
    routing.configure("web", bench.settings)
    ctx = await make_tenant()
    middle = [f"n{number}" for number in range(WIDTH)]
    edges = [("first", name) for name in middle] + [(name, "last") for name in middle]
    flow = await workflows.import_document(ctx, document=document("fan-out", ["first", *middle, "last"], edges))
    ours, whole, limits, peers = [], [], [], Peers(superuser(bench), "fanout_1000")
    with bench.workers(2):
        for number in range(times + 1):
            run_id = await walked(bench, ctx, flow.id)
            if number:  # the first warms the workers
                ours.append(took(bench, run_id, WIDTH))
                whole.append(lasted(bench, run_id))
                limits.append(2 * WIDTH / insert_rate(superuser(bench), rows=500))
                peers.measure()
    await routing.dispose()
    note = (
        f"{WIDTH} steps, all ready at once; intents and outcomes that come together share a commit; from the request "
        f"to the end, plan included, {median(whole):.2f} s{peers.note}"
    )
    return result(bench, "fanout_1000", "s", median(ours), median(limits), times, note, peers.medians())
