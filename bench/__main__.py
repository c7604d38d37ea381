"""`make bench`: one JSON object a line for each workload."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from types import FrameType
from typing import Any

from app.core.logging import configure_logging
from bench.builder_drop import builder_drop
from bench.bulk import bulk_starts
from bench.chain import chain_1000
from bench.fanout import fanout_1000
from bench.first_page import first_page
from bench.first_page import missing as no_browser
from bench.history import history_10m
from bench.memory import memory
from bench.one_step import one_step_http
from bench.recovery import recovery
from bench.rls_cost import rls_cost
from bench.stack import bench_stack
from bench.table import table_5000
from bench.tenants import tenants_10k
from bench.windmill import windmill_heavy, windmill_light

WORKLOADS = {
    "chain_1000": chain_1000,
    "fanout_1000": fanout_1000,
    "windmill_light": windmill_light,
    "windmill_heavy": windmill_heavy,
    "tenants_10k": tenants_10k,
    "table_5000": table_5000,
    "history_10m": history_10m,
    "recovery": recovery,
    "bulk_starts": bulk_starts,
    "rls_cost": rls_cost,
    "memory": memory,
}
# Measured from outside, on a product of their own.
WHOLE = {"one_step_http": one_step_http, "first_page": first_page, "builder_drop": builder_drop}
IN_A_BROWSER = {"first_page", "builder_drop"}
RUNS = 5


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Measure what was asked for, or everything. A workload that fails is named, and the others are measured; then the
    exit status is 1."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(WORKLOADS | WHOLE), help="one workload")
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of each, of which the median is told")
    asked = parser.parse_args()
    # Services that are called in this process log; standard output is for the figures alone.
    configure_logging("WARNING", part="bench")
    for number in _ENDING:
        signal.signal(number, _leave)
    failed = False
    for name in [asked.only] if asked.only else [*WORKLOADS, *WHOLE]:
        try:
            found = _measured(name, asked.runs)
        except Exception as error:
            failed = True
            print(f"{name}: failed, {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            continue
        if found:
            print(json.dumps(found), flush=True)
    return int(failed)


def _leave(number: int, _: FrameType | None) -> None:
    """End everything that was started, wherever the bench is just now: asyncio's own handler would wait until a peer
    that is being measured is done. A second signal would cut that short, so it is not listened to."""
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _measured(name: str, runs: int) -> dict[str, Any] | None:
    """The figures of one workload, None where it cannot be measured here."""
    if name in WHOLE:
        if name in IN_A_BROWSER and (reason := no_browser()):
            print(f"{name}: not measured, {reason}.", file=sys.stderr)
            return None
        return WHOLE[name](runs)
    with bench_stack() as bench:
        return asyncio.run(WORKLOADS[name](bench, runs))


if __name__ == "__main__":
    sys.exit(main())
