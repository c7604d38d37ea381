"""The one job there is in RQ: look for ready runs. It carries nothing, so nothing is lost with it."""

from __future__ import annotations

from collections.abc import Callable

_poke: Callable[[], None] | None = None


def on_look(poke: Callable[[], None]) -> None:
    """Say what a wake-up does in this process."""
    global _poke  # RQ calls a module's function by name; this is where the worker hangs its pump
    _poke = poke


def look() -> None:
    """Called by the worker that takes the job. Does nothing in a process that is no worker."""
    if _poke:
        _poke()
