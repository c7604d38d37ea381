"""How lists of runs are filtered: what the address says, and what services are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.core.clock import utcnow
from app.ui.table import choice

Json = dict[str, Any]
STATES = ("queued", "running", "waiting", "paused", "succeeded", "failed", "cancelled")
SINCE = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
KINDS = ("run", "plan", "batch", "wave", "undo")
BY_STATE = choice("state", "runs.state", [(state, f"state.{state}") for state in STATES])
BY_KIND = choice("kind", "runs.kind", [(name, f"run.kind_{name}") for name in KINDS])
BY_TIME = choice("since", "runs.since", [(name, f"runs.since_{name}") for name in SINCE])


def asked(given: Any, names: Sequence[str]) -> dict[str, str]:
    """The filters ``names`` that are set."""
    return {name: str(given[name]) for name in names if given.get(name)}


def query(active: Mapping[str, str]) -> Json:
    """The filters as services take them. Plans are a mode there and a kind here."""
    kind = active.get("kind")
    since: datetime | None = utcnow() - SINCE[active["since"]] if active.get("since") in SINCE else None
    return {
        "state": (active["state"],) if active.get("state") in STATES else (),
        "mode": "plan" if kind == "plan" else None,
        "kind": None if kind == "plan" else kind,
        "since": since,
        "search": active.get("search", ""),
    }
