"""What the scripts of the peers share. Each runs in an environment of its own, so nothing of Opsloom is at hand."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

STEPS = 1000
ONE_STEP_TIMES = 40
# Steps of a chain, and the number whose Fibonacci number each of them computes.
WINDMILL = {"windmill_light": (40, 10), "windmill_heavy": (10, 33)}

Figures = dict[str, float]


def fibo(number: int) -> int:
    """Fibonacci's number, in the slow way that Windmill's benchmark takes."""
    return number if number < 2 else fibo(number - 1) + fibo(number - 2)


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


async def seconds(work: Awaitable[Any]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def p50_ms(one: Callable[[], Awaitable[Any]], times: int = ONE_STEP_TIMES) -> float:
    """Median milliseconds of ``one``, after a few that warm up."""
    for _ in range(min(5, times)):
        await one()
    return median([await seconds(one()) for _ in range(times)]) * 1000


def asked(workloads: Mapping[str, Any]) -> tuple[str, str]:
    """Workload and DSN of the command line. Ends here, with no figures, where the peer does not do the workload."""
    workload, dsn = sys.argv[1:]
    if workload not in workloads:
        tell({})
        sys.exit(0)
    return workload, dsn


def tell(figures: Figures) -> None:
    print(json.dumps(figures), flush=True)


def end(figures: Figures) -> None:
    """Tell and leave: some engines keep threads that do not end."""
    tell(figures)
    os._exit(0)
