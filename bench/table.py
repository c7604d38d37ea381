"""table_5000: one table of 5,000 rows, planned as one, let go and carried out; two workers."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from statistics import median
from typing import Any
from uuid import UUID

import psycopg

from app.core.context import Context
from app.data import routing
from app.services import runs, workflows
from bench.limits import insert_rate
from bench.stack import Bench
from bench.tenant import make_tenant
from bench.waiting import document, result, superuser

# A smaller one to try the workload itself: OPSLOOM_BENCH_SCALE=0.05.
ROWS = int(5000 * float(os.environ.get("OPSLOOM_BENCH_SCALE", "1")))
_INPUTS = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
_LOOK_S = 0.2


async def table_5000(bench: Bench, times: int) -> dict[str, Any]:
    """Rows a second from the request to the batch's end, and in the note how long each part of it took. The limit is
    what the disk would take: the commits of a row (its plan, intent and outcome) at the rate of one-row INSERTs."""
    routing.configure("web", bench.settings)
    ctx = await make_tenant()
    flow = await workflows.import_document(ctx, document=document("table", ["only"], inputs=_INPUTS))
    limit = insert_rate(superuser(bench)) / 3
    parts = []
    with bench.workers(2):
        for _ in range(min(times, 3)):
            rows = [{"n": number} for number in range(ROWS)]
            batch = await runs.start_batch(ctx, workflow=flow.id, rows=rows, mode="apply")
            await _over(ctx, batch)
            parts.append(_parts(bench, batch))
    await routing.dispose()
    whole, planned, done = (median(part[place] for part in parts) for place in range(3))
    note = f"{ROWS} rows: planned after {planned:.1f} s, carried out in {done:.1f} s"
    return result(bench, "table_5000", "rows/s", ROWS / whole, limit, len(parts), note)


async def _over(ctx: Context, batch: UUID) -> None:
    while True:
        (head,) = [run for run in await runs.list_runs(ctx, limit=1) if run.id == batch]
        if head.state in ("failed", "cancelled"):
            raise AssertionError(f"the batch succeeds, but it ended with {head.reason}")
        if head.state == "succeeded":
            return
        await asyncio.sleep(_LOOK_S)


def _parts(bench: Bench, batch: UUID) -> tuple[float, float, float]:
    """Seconds from the request to the end, from the request until the first row was let go, and from there to the end,
    by PostgreSQL's clock."""
    with psycopg.connect(superuser(bench)) as link:
        head = link.execute("SELECT created_at, finished_at FROM runs WHERE id = %s", [batch]).fetchone()
        begun = link.execute(
            "SELECT min(e.at) FROM step_events e JOIN runs r ON r.client_id = e.client_id AND r.id = e.run_id"
            " WHERE r.parent = %s",
            [batch],
        ).fetchone()
    assert head is not None
    assert begun is not None
    asked, ended, first = head[0], head[1], begun[0]
    return _between(asked, ended), _between(asked, first), _between(first, ended)


def _between(one: datetime, other: datetime) -> float:
    return (other - one).total_seconds()
