"""The one job there is in RQ: look for ready runs. It carries nothing, so nothing is lost with it or read of it."""

from __future__ import annotations

from collections.abc import Callable

_poke: Callable[[], None] | None = None


def on_look(poke: Callable[[], None]) -> None:
    """Say what a wake-up does in this process."""
    global _poke  # RQ's queue hears for a whole process; this is where the worker hangs its pump
    _poke = poke


def look() -> None:
    """What the job is called in RQ, and what a worker does when it takes one. Does nothing where there is no pump."""
    if _poke:
        _poke()
