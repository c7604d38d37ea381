"""What simulators share: trouble on request, and a log of what was asked. Each speaks its own platform's protocol.

The control routes are the same for every simulator: :class:`connectors.testing.SimulatorControl` speaks to any.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

KEPT = 20_000


@dataclass
class Fault:
    """One kind of trouble.

    It meets requests whose method, ``path`` (a regular expression, searched), ``operation`` (the same, in what the
    simulator calls it, where it has names for what is asked), tenant and kind (``writes``) fit; of those every
    ``every``-th, ``times`` times (None: until removed).

    - ``throttle``: the platform's own words for "slow down", with ``retry_after`` seconds; nothing is done.
    - ``error``: ``status`` with the platform's error ``code``; nothing is done.
    - ``drop``: the connection is closed without an answer, ``when`` the work is done (``after``) or not (``before``).
    - ``slow``: the answer comes ``seconds`` late.
    - ``timeout``: no answer for ``seconds``, then the connection is closed; ``when`` as for ``drop``. It ends early
      when the caller goes away or the fault is removed: so a test holds a worker between the platform and us.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("throttle", "error", "drop", "slow", "timeout")

    kind: str
    method: str | None = None
    path: str = ""
    operation: str = ""
    tenant: str | None = None
    writes: bool | None = None
    times: int | None = 1
    every: int = 1
    retry_after: float = 1
    status: int = 503
    code: str = "ServiceUnavailable"
    seconds: float = 0.0
    when: Literal["before", "after"] = "after"
    id: int = 0
    met: int = field(default=0)
    done: int = field(default=0)

    def __post_init__(self) -> None:
        if self.kind not in self.KINDS:
            raise ValueError(f"kind is one of {', '.join(self.KINDS)}")
        if self.when not in ("before", "after"):
            raise ValueError("when is before or after")
        if self.every < 1 or self.seconds < 0 or (self.times is not None and self.times < 1):
            raise ValueError("every and times are at least 1, seconds at least 0")
        for name in ("path", "operation"):
            try:
                re.compile(getattr(self, name))
            except re.error as error:
                raise ValueError(f"{name} is not a regular expression: {error}") from error

    def fits(self, *, method: str, path: str, tenant: str, write: bool, operation: str = "") -> bool:
        """Whether this request is one that the fault is for."""
        if self.times is not None and self.done >= self.times:
            return False
        if self.writes is not None and self.writes != write:
            return False
        same = self.method in (None, method) and self.tenant in (None, tenant)
        return same and bool(re.search(self.path, path)) and bool(re.search(self.operation, operation))


class Faults:
    """The troubles set at the moment, each of ``shape``. Safe to use from several threads."""

    def __init__(self, shape: type[Fault] = Fault) -> None:
        self._shape = shape
        self._ids = itertools.count(1)
        self._set: list[Fault] = []
        self._lock = threading.Lock()
        self._removed = threading.Condition(self._lock)

    def add(self, **given: Any) -> Fault:
        """Set a fault. Raises ValueError or TypeError where it is not understood."""
        fault = self._shape(**{**given, "id": next(self._ids), "met": 0, "done": 0})
        with self._lock:
            self._set.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> None:
        """Remove one fault, or all, and let go of the requests that it holds."""
        with self._removed:
            self._set = [fault for fault in self._set if fault_id is not None and fault.id != fault_id]
            self._removed.notify_all()

    def take(self, **asked: Any) -> list[Fault]:
        """The faults that this request meets, counted. ``asked`` is what :meth:`Fault.fits` takes."""
        taken = []
        with self._lock:
            for fault in self._set:
                if not fault.fits(**asked):
                    continue
                fault.met += 1
                if fault.met % fault.every == 0:
                    fault.done += 1
                    taken.append(fault)
        return taken

    def wait_removed(self, fault: Fault, seconds: float) -> bool:
        """Wait up to ``seconds`` for ``fault`` to be removed; whether it was."""
        with self._removed:
            return self._removed.wait_for(lambda: fault not in self._set, timeout=seconds)

    def as_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._set]


@dataclass
class Record:
    """One exchange. ``write`` marks a request that would change something; ``changed`` says whether it did."""

    seq: int
    at: str
    tenant: str
    method: str
    path: str
    body: Any
    write: bool
    status: int = 0
    changed: bool = False
    faults: list[str] = field(default_factory=list)
    error: dict[str, Any] | None = None


class Journal:
    """The last exchanges, each of ``shape``, oldest first."""

    def __init__(self, shape: type[Record] = Record) -> None:
        self._shape = shape
        self._records: deque[Record] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)

    def open(self, **given: Any) -> Record:
        """Note a request (``tenant``, ``method``, ``path``, ``body``, ``write``); the caller fills in the rest."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = self._shape(seq=next(self._numbers), at=at, **given)
        self._records.append(record)
        return record

    def read(self, *, tenant: str | None = None, writes: bool = False, since: int = 0) -> list[dict[str, Any]]:
        """The records after ``since``, of one tenant and only writes if asked."""
        return [
            asdict(record)
            for record in list(self._records)
            if record.seq > since and tenant in (None, record.tenant) and (record.write or not writes)
        ]

    def clear(self) -> None:
        self._records.clear()
