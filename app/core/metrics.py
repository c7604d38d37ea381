"""What is counted and timed, for Prometheus. docs/operations says what each is good for.

Web and workers are several processes on one machine: those that the embedded stack keeps (it marks them with
``OPSLOOM_BUILD``) write their numbers to files in the ``metrics`` folder of OPSLOOM_HOME, and `/metrics` adds them up.
Elsewhere the operator sets PROMETHEUS_MULTIPROC_DIR. Labels never hold what a person typed.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from app.core.home import home


def _share_numbers() -> None:
    """Choose the folder; the library reads the variable once, when it is first imported."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ or "OPSLOOM_BUILD" not in os.environ or not home().is_dir():
        return
    folder = home() / "metrics"
    with suppress(OSError):
        folder.mkdir(exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK):
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


_share_numbers()

from prometheus_client import CollectorRegistry, Counter, Histogram  # noqa: E402 - it reads the variable set above
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402
from prometheus_client.registry import REGISTRY  # noqa: E402

_API_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PLATFORM_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

user_operations = Counter(
    "user_operations_total", "Changes to people on a platform.", ["operation", "platform", "tenant"]
)
workflow_executions = Counter("workflow_executions_total", "Runs that ended.", ["mode", "state", "tenant"])
api_request_duration = Histogram(
    "api_request_duration_seconds",
    "Time of a request to the API.",
    ["endpoint", "method", "status"],
    buckets=_API_BUCKETS,
)
external_api_call_duration = Histogram(
    "external_api_call_duration_seconds",
    "Time of a call to a platform.",
    ["platform", "operation", "outcome"],
    buckets=_PLATFORM_BUCKETS,
)
authentication_attempts = Counter(
    "authentication_attempts_total", "Attempts to prove who one is.", ["method", "outcome"]
)
authorization_failures = Counter("authorization_failures_total", "What was refused to someone signed in.", ["reason"])
audit_events = Counter("audit_events_total", "Events written to the audit chain.", ["action", "outcome"])


def forget_dead() -> None:
    """Remove the numbers of processes that have ended. Called where the web application starts: everything counts from
    nothing then, while a worker that is replaced later takes nothing away."""
    for file in Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "/nonexistent")).glob("*.db"):
        process = re.fullmatch(r"\w+_(\d+)\.db", file.name)
        if process and not Path(f"/proc/{process[1]}").exists():
            with suppress(OSError):
                file.unlink()


def registry() -> CollectorRegistry:
    """The numbers of all processes where they share a folder, otherwise those of this one."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return shared
