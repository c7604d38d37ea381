"""Prefect with a server of its own (SQLite). `python prefect_peer.py WORKLOAD DSN` prints {name: figure}."""

from __future__ import annotations

import asyncio
import os
import tempfile

from common import WINDMILL, Figures, asked, end, fibo, p50_ms, seconds

# A step takes tens of milliseconds; the rate of a shorter chain is the same.
CHAIN, WIDTH = 50, 1000
workload, _ = asked(dict.fromkeys({"chain_1000", "fanout_1000", "one_step_http", *WINDMILL}))
# Read when it is imported: a home of its own, and nothing is sent anywhere.
os.environ |= {
    "PREFECT_HOME": tempfile.mkdtemp(prefix="bench-prefect-"),
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "DO_NOT_TRACK": "1",
}

from prefect import flow, task  # noqa: E402


@task
async def step(number: int) -> int:
    return number


@task
def compute(number: int) -> int:
    return fibo(number)


@flow
async def chain(steps: int) -> None:
    for number in range(steps):
        await step(number)


@flow
async def fan_out(width: int) -> None:
    await asyncio.gather(*(step(number) for number in range(width)))


@flow
def computing(steps: int, number: int) -> None:
    for _ in range(steps):
        compute(number)


async def measured() -> float:
    await chain(2)
    if workload == "chain_1000":
        return CHAIN / await seconds(chain(CHAIN))
    if workload == "fanout_1000":
        return await seconds(fan_out(WIDTH))
    if workload == "one_step_http":
        return await p50_ms(lambda: chain(1), times=10)
    return await seconds(asyncio.to_thread(computing, *WINDMILL[workload]))


async def main() -> Figures:
    return {"prefect": await measured()}


end(asyncio.run(main()))
