"""chain_1000: a chain of 1000 no-op steps, each step's intent committed before it and its outcome with the next."""

from __future__ import annotations

from statistics import median
from typing import Any

from app.data import routing
from app.services import workflows
from bench.limits import insert_rate
from bench.peers import Peers
from bench.stack import Bench
from bench.tenant import make_tenant
from bench.waiting import chain, lasted, result, superuser, took, walked

STEPS = 1000


async def chain_1000(bench: Bench, times: int) -> dict[str, Any]:
    """Steps a second between the first intent and the last outcome, as PostgreSQL's clock has them."""
    routing.configure("web", bench.settings)
    ctx = await make_tenant()
    flow = await workflows.import_document(ctx, document=chain(f"chain of {STEPS}", STEPS))
    ours, limits, whole, peers = [], [], [], Peers(superuser(bench), "chain_1000")
    with bench.workers(1):
        await walked(bench, ctx, flow.id)
        for _ in range(times):
            limits.append(insert_rate(superuser(bench)))
            run_id = await walked(bench, ctx, flow.id)
            ours.append(STEPS / took(bench, run_id, STEPS))
            whole.append(STEPS / lasted(bench, run_id))
            peers.measure()
    await routing.dispose()
    share = median(a / b for a, b in zip(ours, limits, strict=True))
    note = (
        f"{share:.0%} of the limit (median of pairs); from the request to the end, plan of {STEPS} steps included, "
        f"{median(whole):.0f} steps/s{peers.note}"
    )
    return result(bench, "chain_1000", "steps/s", median(ours), median(limits), times, note, peers.medians())
