"""Procrastinate, a queue in PostgreSQL. `python procrastinate_peer.py WORKLOAD DSN` prints {name: figure}."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from common import Figures, asked, tell
from procrastinate import App, PsycopgConnector

JOBS = 10_000


async def bulk_starts(app: App, task: Any) -> Figures:
    """Jobs deferred a second in batches."""
    began = time.perf_counter()
    await task.batch_defer_async(*({"number": number} for number in range(JOBS)))
    return {"procrastinate": JOBS / (time.perf_counter() - began)}


async def tenants_10k(app: App, task: Any) -> Figures:
    """Jobs done a second by a worker, of 1000 queues of which one holds half."""
    for client in range(1, 1001):
        await task.configure(queue=f"client-{client}").batch_defer_async(*({"number": n} for n in range(5)))
    await task.configure(queue="client-0").batch_defer_async(*({"number": n} for n in range(JOBS // 2)))
    began = time.perf_counter()
    await app.run_worker_async(concurrency=64, wait=False, delete_jobs="never", install_signal_handlers=False)
    return {"procrastinate": JOBS / (time.perf_counter() - began)}


WORKLOADS = {"bulk_starts": bulk_starts, "tenants_10k": tenants_10k}


async def main() -> None:
    workload, dsn = asked(WORKLOADS)
    app = App(connector=PsycopgConnector(conninfo=dsn))

    @app.task(name="work")
    async def work(number: int) -> None:
        pass

    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        await app.connector.execute_query_async("TRUNCATE procrastinate_jobs CASCADE")
        found = await WORKLOADS[workload](app, work)
    tell(found)


asyncio.run(main())
