"""What was asked and what was answered, without secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from connectors.m365.simulator.wire import Request
from connectors.simulation import Record

SECRET_NAMES = ("password", "client_secret", "client_assertion")
HIDDEN = "***"


@dataclass
class GraphRecord(Record):
    """``operation`` is the method and the path with ``*`` for its keys."""

    operation: str = ""
    query: str = ""


def noted(request: Request, operation: str, *, write: bool) -> dict[str, Any]:
    """What a journal is to say of a request whose tenant is not known yet."""
    return {
        "tenant": "",
        "method": request.method,
        "path": request.path,
        "operation": operation,
        "query": request.query_string,
        "body": _shown(request),
        "write": write,
    }


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
