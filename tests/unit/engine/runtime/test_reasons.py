"""What people are told of a run that waits or is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.engine.core.plan import FinishRun
from app.engine.core.state import NodeState, RunState
from app.engine.runtime import reasons
from app.engine.runtime.record import Record

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DEADLINE = "2026-11-30T13:00:00+00:00"


def state(**nodes: NodeState) -> RunState:
    return cast(RunState, SimpleNamespace(node=nodes.__getitem__, nodes=nodes))


APPROVAL = NodeState(state="waiting", waiting_for={"kind": "approval", "reason": "policy"})
UNKNOWN = NodeState(state="unknown")
SLEEPS = NodeState(state="waiting", waiting_for={"kind": "time", "at": NOON.isoformat()})
LOOKS = NodeState(state="waiting", waiting_for={"kind": "until", "at": NOON.isoformat(), "deadline": DEADLINE})


@pytest.mark.parametrize(
    ("people", "looks", "wait_s", "told"),
    [
        (["ask"], {"sleep": NOON}, 5.0, {"code": "approval", "node": "ask", "why": "policy"}),
        (["lost"], {}, None, {"code": "unknown", "node": "lost", "why": None}),
        (
            [],
            {"sleep": NOON, "look": NOON + timedelta(1)},
            5.0,
            {"code": "time", "node": "sleep", "at": NOON.isoformat()},
        ),
        ([], {"sleep": NOON, "look": NOON - DAY}, 5.0, {"code": "until", "node": "look", "at": DEADLINE}),
        ([], {}, 4.26, {"code": "retry", "after_s": 4.3}),
        ([], {}, None, None),
    ],
    ids=["people first", "an outcome nobody knows", "a time", "a look, until its deadline", "a try", "nothing"],
)
def test_what_is_waited_for(people: list[str], looks: dict[str, datetime], wait_s: float | None, told: Any) -> None:
    found = state(ask=APPROVAL, lost=UNKNOWN, sleep=SLEEPS, look=LOOKS)
    assert reasons.waiting(found, people, looks, wait_s) == told


def test_what_a_run_ended_with() -> None:
    found = state(fails=NodeState(state="failed", error={"code": "rejected"}))
    record = cast(Record, None)  # is only asked about a cancel
    assert reasons.ended(FinishRun("succeeded"), found, record) is None
    assert reasons.ended(FinishRun("failed", "fails"), found, record) == {"code": "rejected", "node": "fails"}
    assert reasons.ended(FinishRun("failed"), found, record) is None
