"""Prefect with its own server, which keeps SQLite. `python prefect_peer.py WORKLOAD DSN` prints {name: figure}."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from common import WINDMILL, Figures, asked, end, fibo, free_port, latencies, one_by_one, seconds, server, wait_for

# A step takes tens of milliseconds; the rate of a shorter chain is the same. Now and then it stands still for seconds.
CHAIN, WIDTH = 200, 1000
workload, _ = asked(dict.fromkeys({"chain_1000", "fanout_1000", "one_step_http", *WINDMILL}))
port = free_port()
# Read when it is imported: a home of its own, and nothing is sent anywhere.
os.environ |= {
    "PREFECT_HOME": tempfile.mkdtemp(prefix="bench-prefect-"),
    "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "NO_PROXY": "127.0.0.1",
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
    await step(0)
    await asyncio.gather(*(step(number) for number in range(width)))
    await step(width)


@flow
def computing(steps: int, number: int) -> None:
    for _ in range(steps):
        compute(number)


async def measured() -> Figures:
    await chain(10)
    if workload == "chain_1000":
        return {"prefect": CHAIN / await seconds(chain(CHAIN))}
    if workload == "fanout_1000":
        await fan_out(50)
        return {"prefect": await seconds(fan_out(WIDTH))}
    if workload == "one_step_http":
        return latencies("prefect", await one_by_one(lambda: chain(1), times=40))
    return {"prefect": await seconds(asyncio.to_thread(computing, *WINDMILL[workload]))}


def main() -> Figures:
    command = [str(Path(sys.executable).with_name("prefect")), "server", "start", "--no-ui"]
    with server([*command, "--host", "127.0.0.1", "--port", str(port)], os.environ["PREFECT_HOME"]):
        wait_for(f"http://127.0.0.1:{port}/api/health")
        return asyncio.run(measured())


end(main())
