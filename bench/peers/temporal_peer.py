"""Temporal's development server (SQLite in a file). `python temporal_peer.py WORKLOAD DSN` prints {name: figure}.

The worker is tuned: as many activities at once as the fan-out has, and activities that compute in threads.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from common import (
    STARTS_SINGLE,
    STARTS_TOGETHER,
    STEPS,
    WINDMILL,
    Figures,
    asked,
    at_once,
    end,
    fibo,
    free_port,
    latencies,
    one_by_one,
    seconds,
    server,
)
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

# A step takes tens of milliseconds; the rate of a shorter chain, or of fewer runs, is the same.
CHAIN, SOME_RUNS = 100, 1000
LIMIT = timedelta(minutes=5)


@activity.defn
async def step(number: int) -> int:
    return number


@activity.defn
def compute(number: int) -> int:
    return fibo(number)


@workflow.defn
class Chain:
    @workflow.run
    async def run(self, steps: int) -> None:
        for number in range(steps):
            await workflow.execute_activity(step, number, start_to_close_timeout=LIMIT)


@workflow.defn
class Computing:
    @workflow.run
    async def run(self, order: list[int]) -> None:
        steps, number = order
        for _ in range(steps):
            await workflow.execute_activity(compute, number, start_to_close_timeout=LIMIT)


@workflow.defn
class FanOut:
    @workflow.run
    async def run(self, width: int) -> None:
        await workflow.execute_activity(step, 0, start_to_close_timeout=LIMIT)
        started = [workflow.execute_activity(step, number, start_to_close_timeout=LIMIT) for number in range(width)]
        await asyncio.gather(*started)
        await workflow.execute_activity(step, width, start_to_close_timeout=LIMIT)


NAME = "temporal (dev server)"
WORKLOADS = dict.fromkeys(("chain_1000", "fanout_1000", "one_step_http", "bulk_starts", "tenants_10k", *WINDMILL))


async def measured(client: Client, workload: str) -> Figures:
    async def run(kind: type, argument: object) -> None:
        await client.execute_workflow(kind.run, argument, id=uuid4().hex, task_queue="bench")  # type: ignore[attr-defined]

    await run(Chain, 10)
    if workload == "chain_1000":
        return {NAME: CHAIN / await seconds(run(Chain, CHAIN))}
    if workload == "fanout_1000":
        await run(FanOut, 50)
        return {NAME: await seconds(run(FanOut, STEPS))}
    if workload == "one_step_http":
        return latencies(NAME, await one_by_one(lambda: run(Chain, 1)))
    if workload == "bulk_starts":

        async def start() -> None:  # for a queue that nobody works at, as ours are
            await client.start_workflow(Chain.run, 1, id=uuid4().hex, task_queue="nobody")

        return {f"{NAME}|one by one": STARTS_SINGLE / await at_once(start, STARTS_SINGLE, STARTS_TOGETHER)}
    if workload == "tenants_10k":  # the requests are part of it; fewer runs at the same rate
        return {NAME: SOME_RUNS / await at_once(lambda: run(Chain, 1), SOME_RUNS)}
    return {NAME: await seconds(run(Computing, list(WINDMILL[workload])))}


async def connected(address: str) -> Client:
    until = time.monotonic() + 60
    while True:
        try:
            return await Client.connect(address)
        except Exception:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.2)


async def main(workload: str) -> Figures:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-temporal-") as folder:
        command = [str(Path(sys.executable).with_name("temporal")), "server", "start-dev", "--headless"]
        options = ["--ip", "127.0.0.1", "--port", str(port), "--db-filename", f"{folder}/db", "--log-level", "error"]
        with server([*command, *options], folder), ThreadPoolExecutor(8) as threads:
            client = await connected(f"127.0.0.1:{port}")
            async with Worker(
                client,
                task_queue="bench",
                workflows=[Chain, Computing, FanOut],
                activities=[step, compute],
                activity_executor=threads,
                max_concurrent_activities=STEPS,
                workflow_runner=UnsandboxedWorkflowRunner(),
            ):
                return await measured(client, workload)


if __name__ == "__main__":
    end(asyncio.run(main(asked(WORKLOADS)[0])))
