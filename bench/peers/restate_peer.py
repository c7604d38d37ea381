"""Restate, its server and a service in Python. `python restate_peer.py WORKLOAD DSN` prints {name: figure}."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import httpx
import restate
from common import (
    LIGHT,
    STARTS_SINGLE,
    STARTS_TOGETHER,
    STEPS,
    WINDMILL,
    Figures,
    asked,
    at_once,
    clients,
    end,
    fibo,
    free_port,
    latencies,
    one_by_one,
    seconds,
    server,
)

SERVER = Path(sys.prefix) / "package" / "bin" / "restate-server"
HERE = str(Path(__file__).resolve().parent)
bench = restate.Service("bench", inactivity_timeout=timedelta(minutes=5))


async def nothing() -> int:
    return 1


@bench.handler()
async def chain(ctx: restate.Context, steps: int) -> int:
    for number in range(steps):
        await ctx.run_typed(f"step {number}", nothing)
    return steps


@bench.handler()
async def fan_out(ctx: restate.Context, width: int) -> int:
    await ctx.run_typed("first", nothing)
    await restate.gather(*(ctx.run_typed(f"step {number}", nothing) for number in range(width)))
    return await ctx.run_typed("last", nothing)


@bench.handler()
async def compute(ctx: restate.Context, order: list[int]) -> int:
    steps, number = order
    for turn in range(steps):
        await ctx.run_typed(f"fibo {turn}", lambda: fibo(number))
    return steps


app = restate.app([bench])
WORKLOADS = dict.fromkeys(("chain_1000", "fanout_1000", "one_step_http", "bulk_starts", "tenants_10k", *WINDMILL))


async def measured(client: httpx.AsyncClient, workload: str) -> Figures:
    async def call(verb: str, argument: object) -> None:
        (await client.post(f"/bench/{verb}", json=argument)).raise_for_status()

    await call("chain", 100)
    if workload == "chain_1000":
        return {"restate": STEPS / await seconds(call("chain", STEPS))}
    if workload == "fanout_1000":
        await call("fan_out", 100)
        return {"restate": await seconds(call("fan_out", STEPS))}
    if workload == "one_step_http":
        return latencies("restate", await one_by_one(lambda: call("chain", 1)))
    if workload == "bulk_starts":
        took = await at_once(lambda: call("chain/send", 1), STARTS_SINGLE, STARTS_TOGETHER)
        return {"restate|one by one": STARTS_SINGLE / took}
    if workload == "tenants_10k":  # it begins a run when it is asked for: the requests are part of it
        count = 2 * LIGHT * (clients() - 1)
        return {"restate": count / await at_once(lambda: call("chain", 1), count)}
    return {"restate": await seconds(call("compute", list(WINDMILL[workload])))}


async def registered(admin: str, service: str) -> None:
    """Tell the server of the service, once both are up."""
    until = time.monotonic() + 60
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                (await client.post(f"{admin}/deployments", json={"uri": service})).raise_for_status()
            except httpx.HTTPError:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.2)
            else:
                return


async def main(workload: str) -> Figures:
    ports = [free_port() for _ in range(4)]
    ingress, admin, node, service = (f"127.0.0.1:{port}" for port in ports)
    with tempfile.TemporaryDirectory(prefix="bench-restate-") as folder:
        settings = {
            "RESTATE_INGRESS__BIND_ADDRESS": ingress,
            "RESTATE_ADMIN__BIND_ADDRESS": admin,
            "RESTATE_BIND_ADDRESS": node,
            "RESTATE_ADVERTISED_ADDRESS": f"http://{node}",
            "RESTATE_BASE_DIR": folder,
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RESTATE_LOG_FILTER": "error",
        }
        command = [sys.executable, "-m", "hypercorn", "restate_peer:app", "--bind", service]
        with server([str(SERVER)], folder, **settings), server(command, HERE):
            await registered(f"http://{admin}", f"http://{service}")
            async with httpx.AsyncClient(base_url=f"http://{ingress}", timeout=300, trust_env=False) as client:
                return await measured(client, workload)


if __name__ == "__main__":
    end(asyncio.run(main(asked(WORKLOADS)[0])))
