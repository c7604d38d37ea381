"""recovery: 1000 runs in flight on two workers, one of which is killed; Redis flushed, PostgreSQL restarted."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from statistics import median
from typing import Any

import psycopg
from redis import Redis

from app.data import routing
from app.embedded.control import Supervisor
from app.embedded.core import Stack, start_core
from app.embedded.progress import Progress
from app.services import runs, workflows
from bench.stack import Bench
from bench.tenant import make_tenant
from bench.waiting import all_over, document, result, superuser

RUNS = max(20, int(1000 * float(os.environ.get("OPSLOOM_BENCH_SCALE", "1"))))
# So many that the runs are still under way when the database stops.
STEPS = 20
_PATIENCE_S = 120


async def recovery(bench: Bench, times: int) -> dict[str, Any]:
    """Seconds from the kill -9 of a worker, with Redis flushed, until a run that it held goes on; then from the
    restart of PostgreSQL until a run goes on. The slower of the two counts; steps lost and done twice are in the note.

    The limit is when the database knows that the worker is gone: nothing can resume before.
    """
    routing.configure("web", bench.settings)
    ctx = await make_tenant()
    names = [f"n{number}" for number in range(STEPS)]
    edges = list(itertools.pairwise(names))
    flow = await workflows.import_document(ctx, document=document("recovery", names, edges))
    known, resumed, restarted, lost, twice = [], [], [], 0, 0
    for _ in range(min(times, 3)):
        started = await asyncio.gather(*(_started(ctx, flow.id) for _ in range(RUNS)))
        with bench.workers(2) as workers:
            await _some_done(bench, started)
            worker_id, held = _held(bench, workers[0].pid)
            killed = time.time()
            workers[0].send_signal(signal.SIGKILL)
            Redis.from_url(bench.settings.redis_url).flushall()
            known.append(await _gone(bench, worker_id) - killed)
            resumed.append(await _resumed(bench, held, killed) - killed)
            again = await asyncio.to_thread(_restart_postgres, bench)
            assert _left(bench, started, again), (
                "every run was over before the database was stopped: nothing could go on"
            )
            restarted.append(await _resumed(bench, started, again) - again)
            await all_over(bench, started)
        missing, doubled = _counted(bench, started)
        lost, twice = lost + missing, twice + doubled
    await routing.dispose()
    note = (
        f"{RUNS} runs of {STEPS} steps in flight; the killed worker's runs resumed after {median(resumed):.2f} s with "
        f"Redis flushed, any run {median(restarted):.2f} s after PostgreSQL was told to start again: "
        f"{lost} steps lost, {twice} done twice"
    )
    slower = median(max(pair) for pair in zip(resumed, restarted, strict=True))
    return result(bench, "recovery", "s", slower, median(known), len(resumed), note)


async def _started(ctx: Any, flow: Any) -> Any:
    return await runs.start(ctx, workflow=flow, mode="apply")


async def _some_done(bench: Bench, started: list[Any]) -> None:
    """Until a tenth of the runs has ended: the workers are in the middle of it."""
    query = "SELECT count(*) >= %s FROM runs WHERE state = 'succeeded' AND id = ANY(%s)"
    await _seen(bench, query, [len(started) // 10, started])


def _held(bench: Bench, pid: int) -> tuple[Any, list[Any]]:
    """The id of the worker that is this process, and the runs that it holds."""
    with psycopg.connect(superuser(bench)) as link:
        row = link.execute("SELECT worker_id FROM worker_leases WHERE name LIKE %s", [f"%-{pid}"]).fetchone()
        assert row is not None
        held = link.execute("SELECT run_id FROM run_queue WHERE worker_id = %s", row).fetchall()
    return row[0], [run_id for (run_id,) in held]


async def _gone(bench: Bench, worker_id: Any) -> float:
    """When the lease of the killed worker was no longer valid."""
    query = "SELECT NOT EXISTS (SELECT FROM worker_leases WHERE worker_id = %s AND expires_at > clock_timestamp())"
    return await _seen(bench, query, [worker_id])


async def _resumed(bench: Bench, runs_of: list[Any], since: float) -> float:
    """When the first of these runs had an event again, by PostgreSQL's clock, which is ours. What the dead worker had
    sent before it died may still arrive: it is given 20 ms."""
    query = (
        "SELECT count(*) > 0, extract(epoch FROM min(at)) FROM step_events"
        " WHERE run_id = ANY(%s) AND at > to_timestamp(%s) + interval '20 ms'"
    )
    return await _seen(bench, query, [runs_of, since])


async def _seen(bench: Bench, query: str, values: list[Any]) -> float:
    """Wait until the query's first column is true; the second, or the time."""
    until = time.monotonic() + _PATIENCE_S
    async with await psycopg.AsyncConnection.connect(superuser(bench), autocommit=True) as link:
        while time.monotonic() < until:
            row = await (await link.execute(query, values)).fetchone()
            if row and row[0]:
                return float(row[1]) if len(row) > 1 else time.time()
            await asyncio.sleep(0.01)
    raise AssertionError(f"not seen within {_PATIENCE_S} s: {query}")


def _restart_postgres(bench: Bench) -> float:
    """Stop it and start it; when the start was asked for."""
    Supervisor(bench.layout).stop("postgres")
    began = time.time()
    start_core(Stack.open(bench.layout, Progress(quiet=True), owner=os.getpid()))
    return began


def _left(bench: Bench, started: list[Any], at: float) -> int:
    """How many of the runs were not over at that time."""
    query = "SELECT count(*) FROM runs WHERE id = ANY(%s) AND (finished_at IS NULL OR finished_at > to_timestamp(%s))"
    with psycopg.connect(superuser(bench)) as link:
        row = link.execute(query, [started, at]).fetchone()
    assert row is not None
    return int(row[0])


def _counted(bench: Bench, started: list[Any]) -> tuple[int, int]:
    """Steps without an outcome, and steps with two."""
    with psycopg.connect(superuser(bench)) as link:
        rows = link.execute(
            "SELECT run_id, node, count(*) FROM step_events WHERE kind = 'succeeded' AND run_id = ANY(%s)"
            " GROUP BY run_id, node",
            [started],
        ).fetchall()
    return RUNS * STEPS - len(rows), sum(count - 1 for _, _, count in rows)
