"""DBOS. `python dbos_peer.py WORKLOAD DSN` prints {name: figure}.

As shipped: work goes through its queue with the settings it comes with, which is looked into once a second. Tuned: the
workflow is called directly, so that nothing waits in a queue, and a fan-out is many steps of one workflow instead of as
many workflows.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
from common import (
    LIGHT,
    STARTS,
    STARTS_SINGLE,
    STARTS_TOGETHER,
    STEPS,
    WINDMILL,
    asked,
    clients,
    end,
    fibo,
    latencies,
    tell,
    timed,
)
from dbos import DBOS, DBOSClient

TUNED, SHIPPED = "dbos tuned", "dbos as shipped"


@DBOS.step()
def step(number: int) -> int:
    return number


@DBOS.step()
def compute(number: int) -> int:
    return fibo(number)


@DBOS.step()
async def async_step(number: int) -> int:
    return number


@DBOS.workflow()
def chain(steps: int) -> int:
    for number in range(steps):
        step(number)
    return steps


@DBOS.workflow()
def computing(steps: int, number: int) -> int:
    for _ in range(steps):
        compute(number)
    return steps


@DBOS.workflow()
async def fan_out(width: int) -> int:
    await async_step(0)
    await asyncio.gather(*(async_step(number) for number in range(width)))
    return await async_step(width)


@DBOS.workflow()
def queued_fan_out(width: int) -> int:
    step(0)
    handles = [DBOS.enqueue_workflow("bench", chain, 1) for _ in range(width)]
    return step(len([handle.get_result() for handle in handles]))


def queued(workflow: Callable[..., Any], *arguments: Any) -> float:
    """Seconds until a workflow that waits in the queue is over."""
    return timed(lambda: DBOS.enqueue_workflow("bench", workflow, *arguments).get_result())


def chain_1000() -> None:
    chain(100)
    tell({TUNED: STEPS / timed(lambda: chain(STEPS))})
    tell({SHIPPED: STEPS / queued(chain, STEPS)})


def fanout_1000() -> None:
    async def tuned() -> float:
        await fan_out(100)
        began = time.perf_counter()
        await fan_out(STEPS)
        return time.perf_counter() - began

    tell({TUNED: asyncio.run(tuned())})
    tell({SHIPPED: timed(lambda: queued_fan_out(STEPS))})


def one_step_http() -> None:
    for _ in range(20):
        chain(1)
    tell(latencies(TUNED, [timed(lambda: chain(1)) for _ in range(100)]))
    queued(chain, 1)
    tell(latencies(SHIPPED, [queued(chain, 1) for _ in range(10)]))


def windmill() -> None:
    steps, number = WINDMILL[workload]
    computing(1, 1)
    tell({TUNED: timed(lambda: computing(steps, number))})
    tell({SHIPPED: queued(computing, steps, number)})


def bulk_starts() -> None:
    """In bulk: so many in one transaction of the caller's, one statement each. Nobody works at that queue."""
    client = DBOSClient(system_database_url=dsn)
    order: Any = {"workflow_name": chain.__qualname__, "queue_name": "nobody"}

    def bulk() -> None:
        with engine.begin() as link:
            for _ in range(STARTS):
                client.enqueue_in_transaction(link, order, 1)

    def one(_: int) -> None:
        client.enqueue(order, 1)

    engine = sa.create_engine(dsn.replace("postgresql://", "postgresql+psycopg://"))
    one(0)
    tell({"dbos": STARTS / timed(bulk)})
    with ThreadPoolExecutor(STARTS_TOGETHER) as threads:
        took = timed(lambda: list(threads.map(one, range(STARTS_SINGLE))))
    tell({"dbos|one by one": STARTS_SINGLE / took})


def tenants_10k() -> None:
    """Runs done a second by two processes that take sixty-four at a time and look twenty times a second, between the
    first that began and the last that ended. In one queue: its clients have no fair share of it. The server knows what
    is in its table, as for Procrastinate."""
    client = DBOSClient(system_database_url=dsn)
    engine = sa.create_engine(dsn.replace("postgresql://", "postgresql+psycopg://"))
    count = 2 * LIGHT * (clients() - 1)
    with engine.begin() as link:
        link.execute(sa.text("DELETE FROM dbos.workflow_status"))
        for _ in range(count):
            client.enqueue_in_transaction(link, {"workflow_name": chain.__qualname__, "queue_name": "tenants"}, 1)
    with engine.begin() as link:
        link.execute(sa.text("ANALYZE dbos.workflow_status"))
    workers = [subprocess.Popen([sys.executable, __file__, "worker", dsn]) for _ in range(2)]
    query = "SELECT count(*), max(completed_at) - min(started_at_epoch_ms) FROM dbos.workflow_status"
    done = 0
    while done < count:
        time.sleep(0.2)
        assert all(worker.poll() is None for worker in workers), "a worker has ended"
        with engine.connect() as link:
            done, took = link.execute(sa.text(f"{query} WHERE status = 'SUCCESS'")).one()
    for worker in workers:
        worker.kill()
    tell({TUNED: count / (took / 1000)})


def worker() -> None:
    DBOS.register_queue("tenants", worker_concurrency=64, polling_interval_sec=0.05)
    while True:
        time.sleep(1)


WORKLOADS: dict[str, Callable[[], None]] = {
    "chain_1000": chain_1000,
    "fanout_1000": fanout_1000,
    "one_step_http": one_step_http,
    "bulk_starts": bulk_starts,
    "tenants_10k": tenants_10k,
    "worker": worker,
    **dict.fromkeys(WINDMILL, windmill),
}


def main() -> None:
    DBOS(config={"name": "bench", "system_database_url": dsn, "log_level": "ERROR"})
    if workload in ("bulk_starts", "tenants_10k"):
        DBOS.listen_queues(["bench"])  # what it starts is not for itself
    DBOS.launch()
    DBOS.register_queue("bench")
    WORKLOADS[workload]()


if __name__ == "__main__":
    workload, dsn = asked(WORKLOADS)
    main()
    end({})
