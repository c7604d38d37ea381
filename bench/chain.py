"""chain_1000: a chain of 1000 no-op steps, each step's intent committed before it and its outcome with the next."""

from __future__ import annotations

from statistics import median
from typing import Any
from uuid import UUID

import psycopg

from app.data import routing
from app.services import workflows
from bench.limits import insert_rate
from bench.peers import Peers
from bench.stack import Bench
from bench.tenant import make_tenant
from bench.waiting import chain, result, superuser, took, walked

STEPS = 1000


async def chain_1000(bench: Bench, times: int) -> dict[str, Any]:
    """Steps a second between the first intent and the last outcome, as PostgreSQL's clock has them."""
    routing.configure("web", bench.settings)
    ctx = await make_tenant()
    flow = await workflows.import_document(ctx, document=chain(f"chain of {STEPS}", STEPS))
    ours, limits, waits, peers = [], [], [], Peers(superuser(bench), "chain_1000")
    with bench.workers(1):
        await walked(bench, ctx, flow.id)
        for _ in range(times):
            limits.append(insert_rate(superuser(bench)))
            run_id = await walked(bench, ctx, flow.id)
            ours.append(STEPS / took(bench, run_id, STEPS))
            waits.append(_waited(bench, run_id))
            peers.measure()
    await routing.dispose()
    share = median(a / b for a, b in zip(ours, limits, strict=True))
    note = (
        f"{share:.0%} of the limit (median of pairs); started {median(waits) * 1000:.0f} ms after the request, plan of "
        f"{STEPS} steps included{peers.note}"
    )
    return result(bench, "chain_1000", "steps/s", median(ours), median(limits), times, note, peers.medians())


def _waited(bench: Bench, run_id: UUID) -> float:
    """Seconds between the request and the first intent."""
    with psycopg.connect(superuser(bench)) as link:
        row = link.execute(
            "SELECT extract(epoch FROM min(e.at) - min(r.created_at)) FROM step_events e"
            " JOIN runs r ON r.client_id = e.client_id AND r.id = e.run_id WHERE r.id = %s",
            [run_id],
        ).fetchone()
    assert row is not None
    return float(row[0])
