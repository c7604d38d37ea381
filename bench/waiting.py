"""What the workloads share: documents, waiting for runs, and the shape of a result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import quantiles
from typing import Any
from uuid import UUID

import psycopg

from app.core.context import Context
from app.embedded import postgres
from app.embedded.layout import Layout
from app.embedded.state import State
from app.services import runs
from bench.limits import fsync_us
from bench.stack import Bench

_PATIENCE_S = 600


def chain(name: str, steps: int) -> dict[str, Any]:
    """A workflow of so many no-op steps, one after the other."""
    nodes = [f"n{number}" for number in range(steps)]
    return document(name, nodes, list(pairwise(nodes)))


def document(name: str, nodes: Sequence[str], edges: Sequence[tuple[str, str]] = (), **more: Any) -> dict[str, Any]:
    """A workflow of no-op steps, each of which counts as an effect."""
    drawn = [{"source": source, "target": target} for source, target in edges]
    steps = [{"id": node, "type": "flow.noop"} for node in nodes]
    return {"schema": "opsloom/workflow@1", "name": name, "nodes": steps, "edges": drawn, **more}


def superuser(bench: Bench) -> str:
    """How the bench looks at the database: past row-level security, as no part of the product does."""
    return superuser_of(bench.layout)


def superuser_of(layout: Layout) -> str:
    return postgres.nearest_dsn(layout, State.load(layout), postgres.SUPERUSER)


async def walked(bench: Bench, ctx: Context, workflow: UUID) -> UUID:
    """A run of the workflow that has been carried out."""
    run_id = await runs.start(ctx, workflow=workflow, mode="apply")
    await all_over(bench, [run_id])
    return run_id


def took(bench: Bench, run_id: UUID, steps: int) -> float:
    """Seconds between a run's first intent and its last outcome, as PostgreSQL's clock has them."""
    with psycopg.connect(superuser(bench)) as link:
        row = link.execute(
            "SELECT extract(epoch FROM max(at) - min(at)), count(*) FROM step_events WHERE run_id = %s", [run_id]
        ).fetchone()
    assert row is not None
    assert row[1] >= 2 * steps, "every step has its intent and its outcome"
    return float(row[0])


def lasted(bench: Bench, run_id: UUID) -> float:
    """Seconds from the request for a run to its end, by PostgreSQL's clock: loading, planning and sealing included."""
    with psycopg.connect(superuser(bench)) as link:
        row = link.execute(
            "SELECT extract(epoch FROM finished_at - created_at) FROM runs WHERE id = %s", [run_id]
        ).fetchone()
    assert row is not None
    return float(row[0])


async def all_over(bench: Bench, started: Sequence[UUID] | None = None) -> None:
    """Wait until no run (of ``started``) is left to be done. Raises AssertionError where one failed."""
    condition, values = ("id = ANY(%s)", [list(started)]) if started is not None else ("true", [])
    left = f"SELECT count(*) FROM runs WHERE state NOT IN ('succeeded', 'failed', 'cancelled') AND {condition}"
    wrong = f"SELECT reason FROM runs WHERE state IN ('failed', 'cancelled') AND {condition}"
    until = time.monotonic() + _PATIENCE_S
    async with await psycopg.AsyncConnection.connect(superuser(bench), autocommit=True) as link:
        looked = time.monotonic()
        while await _number(link, left, values):
            assert time.monotonic() < until, "the runs do not end"
            # Looking for ten thousand runs takes the processors from what is measured: a fiftieth of the time at most.
            await asyncio.sleep(max(0.05, 50 * (time.monotonic() - looked)))
            looked = time.monotonic()
        failed = await (await link.execute(wrong, values)).fetchone()
        assert failed is None, f"every run succeeds, but one ended with {failed}"


async def _number(link: Any, statement: str, values: Sequence[Any]) -> int:
    cursor = await link.execute(statement, values)
    return int((await cursor.fetchone())[0])


def p50_p99(values: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def result(
    bench: Bench,
    workload: str,
    unit: str,
    ours: float,
    limit: float,
    times: int,
    note: str,
    peers: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """A line of `make bench`."""
    return {
        "workload": workload,
        "unit": unit,
        "ours": round(ours, 4),
        "limit": round(limit, 4),
        "peers": dict(peers or {}),
        "runs": times,
        "fsync_us": round(fsync_us(bench.layout.home), 1),
        "note": note,
    }
