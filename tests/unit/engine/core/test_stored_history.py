"""Histories that earlier code wrote are read by this code and lead to the same state: an upgrade ends no run in flight.

What stands here is what 0.1.0 stored. It is never changed to please newer code: new kinds of events get a history of
their own below it.
"""

from __future__ import annotations

import pytest

from app.engine.core.events import _KINDS, event_from_json
from app.engine.core.state import RunState
from app.engine.core.transitions import fold
from tests.unit.engine.build import graph, states

REFUSED = {"code": "rejected", "remedy": "Rejected", "message": "no", "field": None, "details": {}}
CHANGE = {"kind": "create", "target": "user:1", "before": None, "after": {"a": 1}, "reversible": True}
BEGUN = [
    {
        "kind": "intended",
        "node": "a",
        "key": "k",
        "change": CHANGE,
        "deadline": "2026-11-29T10:00:00+00:00",
        "params": {"user": "u"},
    },
    {"kind": "succeeded", "node": "a", "output": {"id": 1}, "change": CHANGE},
    {
        "kind": "waiting",
        "node": "ask",
        "what": {
            "kind": "approval",
            "reason": "step",
            "ports": {"approved": "approved", "denied": "denied", "timeout": "timeout"},
        },
    },
    {"kind": "pause_asked", "by": "Ada"},
    {"kind": "resumed", "by": "Ada"},
    {"kind": "succeeded", "node": "ask", "output": {"decision": "approved"}, "port": "approved"},
    {
        "kind": "expanded",
        "node": "each",
        "items": ["x", "y"],
        "limit": 1,
        "collect": True,
        "params": {"items": ["x", "y"]},
    },
    {
        "kind": "intended",
        "node": "each[0].make",
        "key": "k0",
        "change": CHANGE,
        "deadline": "2026-11-29T10:00:00+00:00",
        "params": {},
    },
    {
        "kind": "failed",
        "node": "each[0].make",
        "error": {"code": "away", "remedy": "Retryable", "message": "no", "field": None, "details": {}},
        "retry_at": "2026-11-29T10:00:05+00:00",
        "attempt": 1,
    },
]
REST = [
    {"kind": "failed", "node": "each[0].make", "error": REFUSED, "attempt": 2},
    {
        "kind": "unknown",
        "node": "b",
        "error": {"code": "outcome_unknown", "remedy": "OutcomeUnknown", "message": "no", "field": None, "details": {}},
    },
    {"kind": "cancel_asked"},
    {"kind": "cancelled", "node": "each[1].make"},
    {"kind": "cancelled", "node": "each"},
    {"kind": "finished", "outcome": "cancelled"},
    {"kind": "reset"},
]
BODY = {"schema": "opsloom/workflow@1", "nodes": [{"id": "make", "type": "test.write"}], "edges": []}


def told(history: list[dict]) -> RunState:
    drawn = graph(
        "a>ask ask.approved>each ask.approved>b ask.denied>c",
        ask={"type": "flow.approval", "params": {"title": "?"}},
        each={"type": "flow.for_each", "params": {"items": ["x", "y"], "limit": 1}, "body": BODY},
    )
    return fold(drawn, [event_from_json(event) for event in history])


def test_a_run_in_flight_is_where_it_was():
    state = told(BEGUN)
    assert states(state) == (
        "a:succeeded ask:succeeded each:running b:pending c:pending each[0].make:waiting each[1].make:pending"
    )
    assert state.node("a").change == CHANGE
    assert state.node("each[0].make").retry_at == "2026-11-29T10:00:05+00:00"


def test_every_kind_of_event_is_in_a_history_here():
    kept = {"skipped", "kept"}  # a step that was not taken, and one of an earlier run
    assert {event["kind"] for event in [*BEGUN, *REST]} | kept == set(_KINDS)


def test_what_is_stored_is_read_whole():
    """What is not stored has the default of its kind of event: a default must never change."""
    for event in [*BEGUN, *REST]:
        assert event_from_json(event).to_json() == event


def test_fields_that_this_code_does_not_know_do_no_harm():
    assert states(told([{**event, "of_a_later_version": 1} for event in BEGUN])) == states(told(BEGUN))


def test_a_kind_that_this_code_does_not_know_is_said():
    with pytest.raises(ValueError, match="does not know run events of kind 'dreamt'"):
        event_from_json({"kind": "dreamt"})
