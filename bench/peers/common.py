"""What the scripts of the peers share. Each runs in an environment of its own, so nothing of Opsloom is at hand."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any

STEPS = 1000
STARTS = 10_000
STARTS_SINGLE, STARTS_TOGETHER = 2000, 8
CLIENTS, LIGHT = 1000, 5
ONE_STEP_TIMES, ONE_STEP_WARM = 100, 20
# Steps of a chain, and the number whose Fibonacci number each of them computes.
WINDMILL = {"windmill_light": (40, 10), "windmill_heavy": (10, 33)}

# In the unit of the workload, by the peer's name. One whose name goes on with "|..." is told in the note alone.
Figures = dict[str, float]


def fibo(number: int) -> int:
    """Fibonacci's number, in the slow way that Windmill's benchmark takes."""
    return number if number < 2 else fibo(number - 1) + fibo(number - 2)


def scale() -> float:
    """What part of the large workloads is done, as the bench was told."""
    return float(os.environ.get("OPSLOOM_BENCH_SCALE", "1"))


def clients() -> int:
    """How many clients `tenants_10k` has; the first owns as many runs as all others together."""
    return max(2, int(CLIENTS * scale()))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def server(command: Sequence[str], folder: str, **environment: str) -> Iterator[None]:
    """A process that ends with the block; what it writes is left aside."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **environment}, stdout=quiet, stderr=quiet, stdin=quiet
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str, patience_s: float = 90) -> None:
    """Until the address answers a GET with success. Raises TimeoutError."""
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + patience_s
    while True:
        try:
            straight.open(url, timeout=5).close()
        except OSError as error:
            if time.monotonic() > until:
                raise TimeoutError(f"its server did not answer within {patience_s:.0f} s: {error}") from error
            time.sleep(0.2)
        else:
            return


def timed(work: Callable[[], Any]) -> float:
    """Seconds of a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def seconds(work: Awaitable[Any]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def at_once(one: Callable[[], Awaitable[Any]], count: int, together: int = 64) -> float:
    """Seconds of so many calls, so many of them under way at any time."""
    left = iter(range(count))

    async def some() -> None:
        for _ in left:
            await one()

    return await seconds(asyncio.gather(*(some() for _ in range(together))))


def latencies(name: str, took: Sequence[float]) -> Figures:
    """Median and 99th percentile of so many seconds, in milliseconds."""
    return {name: median(took) * 1000, f"{name}|p99 ms": quantiles(took, n=100, method="inclusive")[98] * 1000}


async def one_by_one(one: Callable[[], Awaitable[Any]], times: int = ONE_STEP_TIMES) -> list[float]:
    """Seconds of each of so many calls, after some that warm up."""
    for _ in range(min(ONE_STEP_WARM, times)):
        await one()
    return [await seconds(one()) for _ in range(times)]


def asked(workloads: Mapping[str, Any]) -> tuple[str, str]:
    """Workload and DSN of the command line. Ends here, with no figures, where the peer does not do the workload."""
    workload, dsn = sys.argv[1:]
    if workload not in workloads:
        tell({})
        sys.exit(0)
    return workload, dsn


def tell(figures: Figures) -> None:
    """Told as soon as they are known: what comes later may not come to an end."""
    print(json.dumps(figures), flush=True)


def end(figures: Figures) -> None:
    """Tell and leave: some engines keep threads that do not end."""
    tell(figures)
    os._exit(0)
