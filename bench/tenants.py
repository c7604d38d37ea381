"""tenants_10k: 10,000 one-step runs of 1000 clients, one of which owns half of them; two workers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from app.core.context import Context
from app.data import routing
from app.services import runs, workflows
from bench.limits import insert_rate
from bench.peers import Peers
from bench.stack import Bench
from bench.tenant import make_tenant
from bench.waiting import all_over, document, p50_p99, result, superuser

Made = TypeVar("Made")

# A smaller one to try the workload itself: OPSLOOM_BENCH_SCALE=0.05.
_SCALE = float(os.environ.get("OPSLOOM_BENCH_SCALE", "1"))
CLIENTS, LIGHT = max(2, int(1000 * _SCALE)), 5


async def tenants_10k(bench: Bench, times: int) -> dict[str, Any]:
    """Runs a second, and how long the light clients wait beside the heavy one. Jain's index is of the rates at which
    the light clients' runs were done while the heavy one's were waiting. The limit is what the disk would take: the
    commits of a run (its claim, plan, intent, outcome) at the rate of one-row INSERTs."""
    routing.configure("web", bench.settings)
    people = await _eight_at_a_time(make_tenant, [()] * CLIENTS)
    flows = await _eight_at_a_time(_flow, [(ctx,) for ctx in people])
    rates, waits, fair, peers = [], [], [], Peers(superuser(bench), "tenants_10k")
    limit = insert_rate(superuser(bench)) / 4
    for _ in range(min(times, 3)):  # a minute each; the median of three is steady enough
        started = await _start(people, flows)
        with bench.workers(2):
            await all_over(bench, started)
        rates.append(len(started) / _seconds(bench, started))
        wait, jain = _light(bench, people[0].client_id, started)
        waits.append(wait)
        fair.append(jain)
        peers.measure()
    await routing.dispose()
    note = (
        f"{len(started)} runs of {CLIENTS} clients; light clients' waiting time "
        f"p50 {median(w[0] for w in waits):.2f} s, p99 {median(w[1] for w in waits):.2f} s; "
        f"Jain {median(fair):.3f}{peers.note}"
    )
    return result(bench, "tenants_10k", "runs/s", median(rates), limit, len(rates), note, peers.medians())


async def _flow(ctx: Context) -> UUID:
    return (await workflows.import_document(ctx, document=document("light", ["only"]))).id


async def _start(people: Sequence[Context], flows: Sequence[UUID]) -> list[UUID]:
    """The heavy client's runs first, as a burst would arrive; then those of all others."""
    heavy = (len(people) - 1) * LIGHT

    async def one(place: int) -> UUID:
        return await runs.start(people[place], workflow=flows[place], mode="apply")

    first = await _eight_at_a_time(one, [(0,)] * heavy)
    others = [(place,) for place in range(1, len(people)) for _ in range(LIGHT)]
    return [*first, *await _eight_at_a_time(one, others)]


async def _eight_at_a_time(do: Callable[..., Awaitable[Made]], asks: Sequence[tuple[Any, ...]]) -> list[Made]:
    limit = asyncio.Semaphore(8)

    async def one(ask: tuple[Any, ...]) -> Made:
        async with limit:
            return await do(*ask)

    return await asyncio.gather(*(one(ask) for ask in asks))


def _seconds(bench: Bench, started: Sequence[UUID]) -> float:
    """Between the first run that began and the last that ended, by PostgreSQL's clock."""
    with psycopg.connect(superuser(bench)) as link:
        row = link.execute(
            "SELECT extract(epoch FROM max(finished_at) - min(started_at)) FROM runs WHERE id = ANY(%s)",
            [list(started)],
        ).fetchone()
    assert row is not None
    return float(row[0])


def _light(bench: Bench, heavy: UUID, started: Sequence[UUID]) -> tuple[tuple[float, float], float]:
    """Waiting times of the light clients (from the first run that began), and Jain's index over them."""
    with psycopg.connect(superuser(bench)) as link:
        rows = link.execute(
            "SELECT client_id, extract(epoch FROM finished_at - min(started_at) OVER ()) FROM runs WHERE id = ANY(%s)",
            [list(started)],
        ).fetchall()
    times = [float(seconds) for client, seconds in rows if client != heavy]
    by_client: dict[UUID, float] = {}
    for client, seconds in rows:
        if client != heavy:
            by_client[client] = max(by_client.get(client, 0.0), float(seconds))
    rates = [1 / max(seconds, 0.001) for seconds in by_client.values()]
    return p50_p99(times), sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates))
