"""Events as they are stored."""

from __future__ import annotations

import json

import pytest

from app.engine.core.events import (
    CancelAsked,
    PauseAsked,
    Resumed,
    RunFinished,
    StepCancelled,
    StepFailed,
    StepIntended,
    StepKept,
    StepReset,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
    StepWaiting,
    event_from_json,
)

EVENTS = [
    StepIntended("a", 2, "key", {"kind": "create"}, "2030-01-01T00:00:00Z", {"x": 1}),
    StepIntended("a"),
    StepSucceeded("a", {"id": 1}, {"kind": "create"}, "true", True, 3),
    StepSucceeded("a"),
    StepFailed("a", {"code": "x"}, "2030-01-01T00:00:00Z", 1),
    StepFailed("a", {"code": "x"}),
    StepSkipped("a", "next"),
    StepSkipped("a"),
    StepWaiting("a", {"kind": "approval"}),
    StepUnknown("a", {"code": "outcome_unknown"}),
    StepCancelled("a"),
    StepReset(("a", "b")),
    StepReset(),
    CancelAsked("anna@ex.fr"),
    PauseAsked("anna@ex.fr"),
    Resumed(),
    StepKept("a", {"id": 1}, "next"),
    StepKept("a", None, None, "skipped"),
    StepKept("a", {"id": 1}, "error", "failed", {"code": "x"}, True),
    RunFinished("succeeded"),
]


@pytest.mark.parametrize("event", EVENTS)
def test_stored_and_read_back(event):
    assert event_from_json(json.loads(json.dumps(event.to_json()))) == event


def test_what_is_not_said_is_not_stored():
    assert StepSucceeded("a").to_json() == {"kind": "succeeded", "node": "a"}


def test_fields_of_a_later_version_are_passed_over():
    assert event_from_json({"kind": "cancelled", "node": "a", "later": 1}) == StepCancelled("a")


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="does not know"):
        event_from_json({"kind": "teleported", "node": "a"})
