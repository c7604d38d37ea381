"""history_10m: a chain, a run of one step and the lists again, beside ten million steps of history."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any
from uuid import UUID

import psycopg

from app.core.context import Context
from app.data import routing
from app.services import runs, workflows
from bench.stack import Bench
from bench.tenant import make_tenant
from bench.waiting import chain, lasted, result, superuser, took, walked

EVENTS = int(os.environ.get("OPSLOOM_BENCH_HISTORY", "10000000"))
STEPS, A_RUN, A_BATCH = 1000, 100, 10_000
# Ids as they are made for runs of the last days, so that the rows go to the partitions where such runs are.
_UUID7 = (
    "(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - (%(count)s - g) * 50), 12, '0')"
    " || '7000' || '8' || lpad(to_hex(g), 15, '0'))::uuid"
)
_RUNS = f"""
INSERT INTO runs (client_id, id, workflow_id, version, document_hash, mode, state, started_by_name, label,
                  created_at, started_at, finished_at)
SELECT %(client)s, {_UUID7}, %(flow)s, 1, %(hash)s, 'apply', 'succeeded', 'bench', 'run ' || g,
       now() - g * interval '50 ms', now() - g * interval '50 ms', now() - g * interval '49 ms'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) g"""
_STEPS = f"""
INSERT INTO step_events (client_id, run_id, seq, node, kind, attempt, payload, at)
SELECT %(client)s, {_UUID7}, s, 'n' || s / 2, CASE s %% 2 WHEN 0 THEN 'intended' ELSE 'succeeded' END, 1,
       jsonb_build_object('kind', CASE s %% 2 WHEN 0 THEN 'intended' ELSE 'succeeded' END, 'node', 'n' || s / 2), now()
FROM generate_series(%(first)s::bigint, %(last)s::bigint) g, generate_series(0, {A_RUN} - 1) s"""


async def history_10m(bench: Bench, times: int) -> dict[str, Any]:
    """Steps a second of the chain beside the history; the limit is the same before it was there. What a run of one
    step and the first page of the list took, before and after, is in the note."""
    routing.configure("web", bench.settings)
    ctx = await make_tenant()
    long = await workflows.import_document(ctx, document=chain("long", STEPS))
    short = await workflows.import_document(ctx, document=chain("short", 1))
    with bench.workers(1):
        # A page of the list is full before as after: rows that are shown cost something, whatever lies behind them.
        for _ in range(runs.PAGE):
            await walked(bench, ctx, short.id)
        before = await _measured(bench, ctx, long.id, short.id, times)
        began = time.perf_counter()
        fill(bench, ctx.client_id, long.id, EVENTS)
        filled = time.perf_counter() - began
        after = await _measured(bench, ctx, long.id, short.id, times)
    await routing.dispose()
    (chain_was, one_was, list_was), (chain_is, one_is, list_is) = before, after
    note = (
        f"{EVENTS} rows of step history, filled in {filled:.0f} s; ratios after to before:"
        f" chain {chain_was / chain_is:.2f},"
        f" one step {one_is / one_was:.2f} ({one_was:.1f} to {one_is:.1f} ms),"
        f" list {list_is / list_was:.2f} ({list_was:.1f} to {list_is:.1f} ms)"
    )
    return result(bench, "history_10m", "steps/s", chain_is, chain_was, times, note)


async def _measured(bench: Bench, ctx: Context, long: UUID, short: UUID, times: int) -> tuple[float, float, float]:
    """Medians: steps a second of the chain, milliseconds of a run of one step and of the list's first page."""
    await walked(bench, ctx, long)
    await walked(bench, ctx, short)
    rates, ones, lists = [], [], []
    for _ in range(times):
        rates.append(STEPS / took(bench, await walked(bench, ctx, long), STEPS))
        for _ in range(10):
            ones.append(1000 * lasted(bench, await walked(bench, ctx, short)))
            lists.append(await _ms(lambda: runs.list_runs(ctx)))
    return median(rates), median(ones), median(lists)


async def _ms(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1000


def fill(bench: Bench, client: UUID, flow: UUID, events: int) -> None:
    """History as runs leave it, without the checks of foreign keys, which ten million rows would wait for."""
    count = max(1, events // A_RUN)
    with psycopg.connect(superuser(bench), autocommit=True) as link:
        link.execute("SET session_replication_role = replica")
        link.execute("SET synchronous_commit = off")
        row = link.execute("SELECT document_hash FROM runs WHERE workflow_id = %s LIMIT 1", [flow]).fetchone()
        assert row is not None
        for first in range(1, count + 1, A_BATCH // 10):
            last = min(count, first + A_BATCH // 10 - 1)
            values = {"client": client, "flow": flow, "hash": row[0], "count": count, "first": first, "last": last}
            link.execute(_RUNS, values)
            link.execute(_STEPS, values)
        link.execute("RESET session_replication_role")
        link.execute("VACUUM ANALYZE")
        link.execute("CHECKPOINT")
