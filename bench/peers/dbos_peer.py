"""DBOS. `python dbos_peer.py WORKLOAD DSN` prints {name: figure}.

As shipped: work goes through its queue with the settings it comes with. Tuned: the workflow is called directly, so that
no queue is polled, and a fan-out is many steps of one workflow instead of as many workflows.
"""

from __future__ import annotations

import asyncio
import time

from common import STEPS, WINDMILL, Figures, asked, end, fibo, p50_ms
from dbos import DBOS, Queue

queue = Queue("bench")


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
    await asyncio.gather(*(async_step(number) for number in range(width)))
    return width


@DBOS.workflow()
def queued_fan_out(width: int) -> int:
    handles = [queue.enqueue(chain, 1) for _ in range(width)]
    return len([handle.get_result() for handle in handles])


def chain_1000() -> Figures:
    chain(10)
    began = time.perf_counter()
    chain(STEPS)
    tuned = time.perf_counter() - began
    began = time.perf_counter()
    queue.enqueue(chain, STEPS).get_result()
    return {"dbos tuned": STEPS / tuned, "dbos as shipped": STEPS / (time.perf_counter() - began)}


def fanout_1000() -> Figures:
    async def tuned() -> float:
        await fan_out(10)
        began = time.perf_counter()
        await fan_out(STEPS)
        return time.perf_counter() - began

    found = {"dbos tuned": asyncio.run(tuned())}
    began = time.perf_counter()
    queued_fan_out(STEPS)
    return {**found, "dbos as shipped": time.perf_counter() - began}


def one_step_http() -> Figures:
    async def direct() -> None:
        chain(1)

    async def queued() -> None:
        queue.enqueue(chain, 1).get_result()

    return {"dbos tuned": asyncio.run(p50_ms(direct)), "dbos as shipped": asyncio.run(p50_ms(queued, times=5))}


def windmill() -> Figures:
    steps, number = WINDMILL[workload]
    computing(1, 1)
    began = time.perf_counter()
    computing(steps, number)
    tuned = time.perf_counter() - began
    began = time.perf_counter()
    queue.enqueue(computing, steps, number).get_result()
    return {"dbos tuned": tuned, "dbos as shipped": time.perf_counter() - began}


WORKLOADS = {"chain_1000": chain_1000, "fanout_1000": fanout_1000, "one_step_http": one_step_http}
WORKLOADS |= dict.fromkeys(WINDMILL, windmill)
workload, dsn = asked(WORKLOADS)
DBOS(config={"name": "bench", "system_database_url": dsn, "log_level": "ERROR"})
DBOS.launch()
end(WORKLOADS[workload]())
