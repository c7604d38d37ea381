"""Trouble on request: what a real platform does to its callers, set over the control API and counted down."""

from __future__ import annotations

import itertools
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["throttle", "error", "delay", "slow", "drop", "timeout"]
KINDS = ("throttle", "error", "delay", "slow", "drop", "timeout")


@dataclass
class Fault:
    """One kind of trouble.

    It meets requests whose method, ``path`` (a regular expression, searched for in the path as sent), ``operation``
    (the same, in what the journal calls it: ``POST /users/*/assignLicense``), ``tenant`` and ``writes`` (only those
    that write, or only those that read) fit; of those every ``every``-th, ``times`` times (None: until removed).

    - ``throttle``: 429 with ``retry_after`` seconds; nothing is done.
    - ``error``: ``status`` with Graph's ``code``; nothing is done.
    - ``delay``: what is written becomes visible to reads after ``seconds`` (delayed consistency).
    - ``slow``: waits ``seconds``, then works.
    - ``drop``: the connection is closed without an answer, ``when`` the work is done (``after``) or not (``before``).
    - ``timeout``: no answer for ``seconds``, or until the caller has gone or the faults are removed; then the
      connection is closed. ``when`` as for ``drop``.
    """

    kind: Kind
    method: str | None = None
    path: str = ""
    operation: str = ""
    tenant: str | None = None
    writes: bool | None = None
    times: int | None = 1
    every: int = 1
    retry_after: float = 1.0
    status: int = 503
    code: str = "serviceNotAvailable"
    seconds: float = 0.0
    when: Literal["before", "after"] = "after"
    id: int = 0
    met: int = field(default=0)
    done: int = field(default=0)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}")
        if self.when not in ("before", "after"):
            raise ValueError("when is before or after")
        if self.every < 1 or self.seconds < 0 or (self.times is not None and self.times < 1):
            raise ValueError("every and times are at least 1, seconds at least 0")
        re.compile(self.operation)
        re.compile(self.path)

    def fits(self, method: str, operation: str, path: str, tenant: str, *, write: bool) -> bool:
        if self.times is not None and self.done >= self.times:
            return False
        if self.writes not in (None, write) or self.tenant not in (None, tenant) or self.method not in (None, method):
            return False
        return bool(re.search(self.operation, operation)) and bool(re.search(self.path, path))

    def meet(self) -> bool:
        """Count one fitting request; whether this one is met."""
        self.met += 1
        if self.met % self.every:
            return False
        self.done += 1
        return True


class Faults:
    """The troubles set at the moment."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._set: list[Fault] = []

    def add(self, **given: Any) -> Fault:
        """Set a fault. Raises ValueError or TypeError where it is not understood."""
        fault = Fault(**{**given, "id": next(self._ids), "met": 0, "done": 0})
        self._set.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> None:
        """Remove one fault, or all."""
        self._set = [fault for fault in self._set if fault_id is not None and fault.id != fault_id]

    def take(self, method: str, operation: str, path: str, tenant: str, *, write: bool) -> list[Fault]:
        """The faults that this request meets, counted."""
        return [f for f in self._set if f.fits(method, operation, path, tenant, write=write) and f.meet()]

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._set]
