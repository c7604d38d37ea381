"""What was asked and what was answered, without secrets."""

from __future__ import annotations

import itertools
import json
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.m365.simulator.wire import Json, Request

SECRET_NAMES = ("password", "client_secret", "client_assertion")
HIDDEN = "***"
KEPT = 20_000


@dataclass
class Record:
    """One exchange. ``operation`` is the method and the path with ``*`` for its keys; ``write`` marks a request that
    would change something, ``changed`` says whether it did."""

    seq: int
    at: str
    tenant: str
    method: str
    path: str
    operation: str
    query: str
    body: Any
    status: int
    write: bool
    changed: bool = False
    faults: list[str] = field(default_factory=list)
    error: Json | None = None


class Journal:
    """The last exchanges, oldest first."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)

    def open(self, request: Request, operation: str, *, write: bool) -> Record:
        """Note a request; the caller fills in what became of it."""
        record = Record(
            seq=next(self._numbers),
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            tenant="",
            method=request.method,
            path=request.path,
            operation=operation,
            query=request.query_string,
            body=_shown(request),
            status=0,
            write=write,
        )
        self._records.append(record)
        return record

    def read(self, *, tenant: str | None = None, writes: bool = False, since: int = 0) -> list[Json]:
        """The records after ``since``, of one tenant and only writes if asked."""
        return [
            asdict(r)
            for r in self._records
            if r.seq > since and (tenant is None or r.tenant == tenant) and (r.write or not writes)
        ]

    def clear(self) -> None:
        self._records.clear()


def _shown(request: Request) -> Any:
    if not request.body:
        return None
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return hide(request.form())
    try:
        return hide(json.loads(request.body))
    except ValueError:
        return f"{len(request.body)} bytes, not JSON"


def hide(value: Any) -> Any:
    """``value`` with every secret in it replaced."""
    if isinstance(value, dict):
        return {name: HIDDEN if name in SECRET_NAMES else hide(item) for name, item in value.items()}
    if isinstance(value, list):
        return [hide(item) for item in value]
    return value
