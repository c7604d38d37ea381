"""bulk_starts: runs begun a second, one by one and as a table of rows; nothing is walked meanwhile."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Any

import psycopg

from app.core.context import Context
from app.core.ids import new_id
from app.data import routing
from app.services import runs, workflows
from bench.peers import Peers
from bench.peers.common import STARTS, STARTS_SINGLE, STARTS_TOGETHER
from bench.stack import Bench
from bench.tenant import make_tenant
from bench.waiting import document, result, superuser

_INPUTS = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


async def bulk_starts(bench: Bench, times: int) -> dict[str, Any]:
    """Starts a second of a table of 10,000 rows, checked, stored and queued. The limit is COPY of as many raw rows."""
    routing.configure("web", bench.settings)
    ctx = await make_tenant()
    flow = await workflows.import_document(ctx, document=document("bulk", ["only"], inputs=_INPUTS))
    bulk, single, limits, peers = [], [], [], Peers(superuser(bench), "bulk_starts")
    for _ in range(times):
        began = time.perf_counter()
        rows = [{"n": number} for number in range(STARTS)]
        await runs.start_batch(ctx, workflow=flow.id, rows=rows, mode="apply")
        bulk.append(STARTS / (time.perf_counter() - began))
        single.append(await _single(ctx, flow.id))
        limits.append(_copied(bench))
        peers.measure()
    await routing.dispose()
    note = f"{STARTS_SINGLE} one by one, {STARTS_TOGETHER} at a time: {median(single):.0f} starts/s{peers.note}"
    return result(bench, "bulk_starts", "starts/s", median(bulk), median(limits), times, note, peers.medians())


async def _single(ctx: Context, flow: Any) -> float:
    async def some() -> None:
        for number in range(STARTS_SINGLE // STARTS_TOGETHER):
            await runs.start(ctx, workflow=flow, mode="apply", inputs={"n": number})

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(STARTS_TOGETHER)))
    return STARTS_SINGLE / (time.perf_counter() - began)


def _copied(bench: Bench) -> float:
    with psycopg.connect(superuser(bench), autocommit=True) as link:
        link.execute("CREATE TABLE IF NOT EXISTS bench_copy (id uuid PRIMARY KEY, client uuid, inputs jsonb)")
        began = time.perf_counter()
        with link.cursor().copy("COPY bench_copy FROM STDIN") as copy:
            for number in range(STARTS):
                copy.write_row((new_id(), new_id(), f'{{"n": {number}}}'))
        return STARTS / (time.perf_counter() - began)
