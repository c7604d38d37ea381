"""Trouble on request: what Graph does to its callers besides what every platform does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from connectors.simulation import Fault


@dataclass
class GraphFault(Fault):
    """One kind of trouble. ``operation`` is the request with ``*`` for its keys: ``POST /users/*/assignLicense``.

    - ``delay``: what is written becomes visible to reads after ``seconds`` (delayed consistency).
    """

    KINDS: ClassVar[tuple[str, ...]] = (*Fault.KINDS, "delay")

    code: str = "serviceNotAvailable"
