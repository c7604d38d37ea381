"""Procrastinate, a queue in PostgreSQL. `python procrastinate_peer.py WORKLOAD DSN` prints {name: figure}."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import psycopg
from common import (
    LIGHT,
    STARTS,
    STARTS_SINGLE,
    STARTS_TOGETHER,
    Figures,
    asked,
    at_once,
    clients,
    latencies,
    one_by_one,
    seconds,
    tell,
)
from procrastinate import App, PsycopgConnector

_TOOK = """SELECT count(*) FILTER (WHERE type = 'succeeded'),
       extract(epoch FROM max(at) FILTER (WHERE type = 'succeeded') - min(at) FILTER (WHERE type = 'started'))
FROM procrastinate_events"""
done = asyncio.Event()


async def bulk_starts(app: App, task: Any) -> Figures:
    """Jobs deferred a second, in one batch and one by one; nobody works at them."""
    await task.defer_async(number=0)
    bulk = await seconds(task.batch_defer_async(*({"number": number} for number in range(STARTS))))
    single = await at_once(lambda: task.defer_async(number=0), STARTS_SINGLE, STARTS_TOGETHER)
    return {"procrastinate": STARTS / bulk, "procrastinate|one by one": STARTS_SINGLE / single}


async def one_step_http(app: App, task: Any) -> Figures:
    """From the request for a job until it is done, by a worker in the same process that is told of it at once."""

    async def one() -> None:
        done.clear()
        await task.defer_async(number=1)
        await done.wait()

    working = asyncio.create_task(app.run_worker_async(install_signal_handlers=False))
    found = latencies("procrastinate", await one_by_one(one))
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return found


async def tenants_10k(app: App, task: Any) -> Figures:
    """Jobs done a second by two worker processes, sixty-four at a time in each, between the first that began and the
    last that ended; a queue for each client, of which one holds half of the jobs and was there first.

    As shipped: right after it was installed, when the server knows nothing of its table and chooses badly, unless its
    autovacuum comes by. Tuned: the table is analyzed, as it is where it has been used for some minutes.
    """
    await app.connector.execute_query_async("DROP SCHEMA public CASCADE")
    await app.connector.execute_query_async("CREATE SCHEMA public")
    await app.schema_manager.apply_schema_async()
    tell({"procrastinate as shipped": await _worked_off(app, task)})
    await app.connector.execute_query_async("TRUNCATE procrastinate_jobs CASCADE")
    return {"procrastinate": await _worked_off(app, task, analyzed=True)}


async def _worked_off(app: App, task: Any, *, analyzed: bool = False) -> float:
    others = clients() - 1
    await task.configure(queue="client-0").batch_defer_async(*({"number": n} for n in range(LIGHT * others)))
    for client in range(1, others + 1):
        await task.configure(queue=f"client-{client}").batch_defer_async(*({"number": n} for n in range(LIGHT)))
    if analyzed:
        await app.connector.execute_query_async("ANALYZE procrastinate_jobs")
    workers = [await asyncio.create_subprocess_exec(sys.executable, __file__, "worker", dsn) for _ in range(2)]
    for worker in workers:
        assert await worker.wait() == 0, "a worker failed"
    async with await psycopg.AsyncConnection.connect(dsn) as link:
        row = await (await link.execute(_TOOK)).fetchone()
    assert row is not None
    assert row[0] == 2 * LIGHT * others, f"{row[0]} jobs were done"
    return float(row[0]) / float(row[1])


async def worker(app: App, task: Any) -> Figures:
    await app.run_worker_async(concurrency=64, wait=False, delete_jobs="never", install_signal_handlers=False)
    return {}


WORKLOADS = {
    "bulk_starts": bulk_starts,
    "one_step_http": one_step_http,
    "tenants_10k": tenants_10k,
    "worker": worker,
}


async def main() -> None:
    app = App(connector=PsycopgConnector(conninfo=dsn))

    @app.task(name="work")
    async def work(number: int) -> None:
        done.set()

    async with app.open_async():
        if workload != "worker":
            if not await app.check_connection_async():
                await app.schema_manager.apply_schema_async()
            await app.connector.execute_query_async("TRUNCATE procrastinate_jobs CASCADE")
        tell(await WORKLOADS[workload](app, work))


workload, dsn = asked(WORKLOADS)
asyncio.run(main())
