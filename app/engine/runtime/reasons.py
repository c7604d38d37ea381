"""Why a run is as it is: what it waits for, and what it ended with, as people are told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.engine.core.plan import FinishRun
from app.engine.core.state import RunState
from app.engine.runtime.ending import cancelled
from app.engine.runtime.record import Record

Json = dict[str, Any]


def waiting(state: RunState, people: list[str], looks: Mapping[str, datetime], wait_s: float | None) -> Json | None:
    """What a run waits for that is given back: people, a time or something on a platform (``looks``: when each step of
    that kind looks next), or the next try in ``wait_s`` seconds."""
    if people:
        first = state.node(people[0])
        code = "unknown" if first.state == "unknown" else (first.waiting_for or {}).get("kind", "approval")
        return {"code": code, "node": people[0], "why": (first.waiting_for or {}).get("reason")}
    if looks:
        name = min(looks, key=lambda each: looks[each])
        what = state.node(name).waiting_for or {}
        return {"code": what["kind"], "node": name, "at": what["deadline" if what["kind"] == "until" else "at"]}
    return {"code": "retry", "after_s": round(wait_s, 1)} if wait_s is not None else None


def ended(command: FinishRun, state: RunState, record: Record) -> Json | None:
    """Why a run failed or was cancelled; None where it succeeded."""
    if command.outcome == "cancelled":
        return cancelled(record, state)
    if command.outcome == "failed" and command.node:
        return {**(state.node(command.node).error or {}), "node": command.node}
    return None
