"""How much a step may give to later ones: it is stored with the run, and read again with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.storable import storable
from app.engine.core.document import excess

MAX_OUTPUT = 5_000_000


def is_too_big(output: Any) -> bool:
    """Whether ``output`` would take more than about ``MAX_OUTPUT`` characters."""
    return excess(output, MAX_OUTPUT) == "big"


def fitting(output: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``output`` is kept: all of it, or without the fields that are too big for a part of it each.

    For writes: what was done is done, and must be recorded whatever the platform said to it.
    """
    if not is_too_big(output):
        return dict(storable(output))
    share = MAX_OUTPUT // (2 * max(1, len(output)))
    return dict(storable({name: value for name, value in output.items() if excess(value, share) != "big"}))
