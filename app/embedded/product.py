"""The product's own processes beside the web application: workers and scheduler."""

from __future__ import annotations

from collections.abc import Iterator

from app.core.home import PROJECT
from app.core.settings import Settings
from app.embedded.parts import Part, python_module

# A worker finishes or hands back what it holds before it ends.
_STOP_TIMEOUT_S = 20.0


def parts(settings: Settings, sources: str) -> Iterator[Part]:
    """The scheduler and as many workers as the settings say. A change of ``sources`` restarts them."""
    yield _command("scheduler", "scheduler", sources)
    for number in range(1, settings.workers + 1):
        yield _command(f"worker-{number}", "worker", sources)


def _command(name: str, command: str, sources: str) -> Part:
    return Part(
        name=name,
        argv=python_module("app.cli", command),
        cwd=str(PROJECT),
        env={"OPSLOOM_BUILD": sources, "PYTHONUNBUFFERED": "1"},
        stop_timeout_s=_STOP_TIMEOUT_S,
        rank=1,
    )
