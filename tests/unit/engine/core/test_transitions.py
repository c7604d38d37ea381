"""Tables: what has happened, then what the states are and what is to be done next."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from weakref import ref

import pytest

from app.engine.core.events import (
    UNKNOWN_PORT,
    CancelAsked,
    PauseAsked,
    Resumed,
    RunFinished,
    StepCancelled,
    StepFailed,
    StepIntended,
    StepReset,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
    StepWaiting,
)
from app.engine.core.plan import due, next_commands, next_due, waits_for_people
from app.engine.core.state import IllegalEvent, initial
from app.engine.core.transitions import apply, fold
from tests.unit.engine.build import CONDITION, graph, states, told, walk

ERROR = {"remedy": "Rejected", "code": "rejected", "message": "no"}
RETRY_AT = "2030-01-01T00:00:10+00:00"


def did(node: str, port: str = "next") -> StepSucceeded:
    return StepSucceeded(node, {"id": node}, port=port)


PAUSED = [
    ("a paused run starts nothing", "a>b", {}, [did("a"), PauseAsked()], "a:succeeded b:pending", []),
    (
        "what is in hand ends, and nothing follows",
        "a>b",
        {},
        [StepIntended("a"), PauseAsked(), did("a")],
        "a:succeeded b:pending",
        [],
    ),
    ("it goes on where it was", "a>b", {}, [did("a"), PauseAsked(), Resumed()], "a:succeeded b:pending", ["start b"]),
    (
        "a way not taken is not even skipped",
        "if.true>b if.false>c",
        {"if": CONDITION},
        [StepIntended("if"), PauseAsked(), did("if", "true")],
        "if:succeeded b:pending c:pending",
        [],
    ),
    (
        "the last step ends a paused run",
        "a",
        {},
        [StepIntended("a"), PauseAsked(), did("a")],
        "a:succeeded",
        ["finish succeeded"],
    ),
    (
        "a failure ends a paused run",
        "a>b",
        {},
        [StepIntended("a"), PauseAsked(), StepFailed("a", ERROR)],
        "a:failed b:pending",
        ["finish failed"],
    ),
    (
        "a paused run can be cancelled",
        "a>b",
        {},
        [did("a"), PauseAsked(), CancelAsked()],
        "a:succeeded b:pending",
        ["finish cancelled"],
    ),
    (
        "what waits is given up when a paused run is cancelled",
        "a>b",
        {},
        [StepWaiting("a", {"kind": "approval"}), PauseAsked(), CancelAsked()],
        "a:waiting b:pending",
        ["cancel a"],
    ),
]
CASES = [
    *PAUSED,
    ("a root may start", "a>b", {}, [], "a:pending b:pending", ["start a"]),
    ("an intent is not repeated", "a>b", {}, [StepIntended("a")], "a:running b:pending", []),
    ("success lets the next one start", "a>b", {}, [did("a")], "a:succeeded b:pending", ["start b"]),
    ("branches start together", "a>b a>c", {}, [did("a")], "a:succeeded b:pending c:pending", ["start b", "start c"]),
    ("all are done: the run is", "a", {}, [did("a")], "a:succeeded", ["finish succeeded"]),
    (
        "a join waits for every branch",
        "a>b a>c b>d c>d",
        {},
        [did("a"), did("b")],
        "a:succeeded b:succeeded c:pending d:pending",
        ["start c"],
    ),
    (
        "a join of any starts with the first",
        "a>b a>c b>d c>d",
        {"d": {"join": "any"}},
        [did("a"), StepIntended("c"), did("b")],
        "a:succeeded b:succeeded c:running d:pending",
        ["start d"],
    ),
    (
        "a join of any does not start twice",
        "a>b a>c b>d c>d",
        {"d": {"join": "any"}},
        [did("a"), did("b"), did("d"), did("c")],
        "a:succeeded b:succeeded c:succeeded d:succeeded",
        ["finish succeeded"],
    ),
    (
        "a join of two starts with the second",
        "r>a r>b r>c a>d b>d c>d",
        {"d": {"join": 2}},
        [did("r"), did("a"), did("c"), StepIntended("b")],
        "r:succeeded a:succeeded b:running c:succeeded d:pending",
        ["start d"],
    ),
    (
        "the way not taken is skipped",
        "if.true>b if.false>c",
        {"if": CONDITION},
        [did("if", "true")],
        "if:succeeded b:pending c:pending",
        ["start b", "skip c"],
    ),
    (
        "a skipped branch counts as done",
        "if.true>b if.false>c b>d c>d",
        {"if": CONDITION},
        [did("if", "true"), StepSkipped("c"), did("b")],
        "if:succeeded b:succeeded c:skipped d:pending",
        ["start d"],
    ),
    (
        "what only skipped steps lead to is skipped",
        "if.true>b if.false>c c>d",
        {"if": CONDITION},
        [did("if", "true"), StepSkipped("c")],
        "if:succeeded b:pending c:skipped d:pending",
        ["start b", "skip d"],
    ),
    (
        "both ports of a condition may lead to one step",
        "if.true>b if.false>b",
        {"if": CONDITION},
        [did("if", "false")],
        "if:succeeded b:pending",
        ["start b"],
    ),
    (
        "a disabled step lets the run pass",
        "a>b b>c",
        {"b": {"disabled": True}},
        [did("a")],
        "a:succeeded b:pending c:pending",
        ["skip b by next"],
    ),
    (
        "after a disabled step the next one starts",
        "a>b b>c",
        {"b": {"disabled": True}},
        [did("a"), StepSkipped("b", "next")],
        "a:succeeded b:skipped c:pending",
        ["start c"],
    ),
    (
        "a disabled step on a branch not taken is skipped as any",
        "if.true>b if.false>c",
        {"if": CONDITION, "c": {"disabled": True}},
        [did("if", "true")],
        "if:succeeded b:pending c:pending",
        ["start b", "skip c"],
    ),
    ("a failure stops the run", "a>b", {}, [StepFailed("a", ERROR)], "a:failed b:pending", ["finish failed"]),
    (
        "a failed run lets running steps finish",
        "r>a r>b b>c",
        {},
        [did("r"), StepIntended("b"), StepFailed("a", ERROR)],
        "r:succeeded a:failed b:running c:pending",
        [],
    ),
    (
        "and starts nothing after them",
        "r>a r>b b>c",
        {},
        [did("r"), StepIntended("b"), StepFailed("a", ERROR), did("b")],
        "r:succeeded a:failed b:succeeded c:pending",
        ["finish failed"],
    ),
    (
        "on_error continue goes on",
        "a>b",
        {"a": {"on_error": "continue"}},
        [StepFailed("a", ERROR)],
        "a:failed b:pending",
        ["start b"],
    ),
    (
        "on_error branch takes the error port only",
        "a>b a.error>c",
        {"a": {"on_error": "branch"}},
        [StepFailed("a", ERROR)],
        "a:failed b:pending c:pending",
        ["skip b", "start c"],
    ),
    (
        "without an error the error branch is skipped",
        "a>b a.error>c",
        {"a": {"on_error": "branch"}},
        [did("a")],
        "a:succeeded b:pending c:pending",
        ["start b", "skip c"],
    ),
    (
        "a handled failure is no failure of the run",
        "a>b",
        {"a": {"on_error": "continue"}},
        [StepFailed("a", ERROR), did("b")],
        "a:failed b:succeeded",
        ["finish succeeded"],
    ),
    ("a retry waits", "a>b", {}, [StepFailed("a", ERROR, RETRY_AT)], "a:waiting b:pending", []),
    ("an approval waits", "a>b", {}, [StepWaiting("a", {"kind": "approval"})], "a:waiting b:pending", []),
    ("an unknown outcome waits", "a>b", {}, [StepIntended("a"), StepUnknown("a", ERROR)], "a:unknown b:pending", []),
    (
        "a person may say that an unknown one was done",
        "a>b",
        {},
        [StepIntended("a"), StepUnknown("a", ERROR), did("a")],
        "a:succeeded b:pending",
        ["start b"],
    ),
    ("a cancelled run starts nothing", "a>b", {}, [CancelAsked()], "a:pending b:pending", ["finish cancelled"]),
    ("it lets running steps finish", "a>b", {}, [StepIntended("a"), CancelAsked()], "a:running b:pending", []),
    (
        "and never ends as succeeded",
        "a",
        {},
        [StepIntended("a"), CancelAsked(), did("a")],
        "a:succeeded",
        ["finish cancelled"],
    ),
    (
        "cancelling gives up what waits",
        "a>b",
        {},
        [StepWaiting("a", {"kind": "approval"}), CancelAsked()],
        "a:waiting b:pending",
        ["cancel a"],
    ),
    (
        "then the run ends",
        "a>b",
        {},
        [StepWaiting("a", {"kind": "approval"}), CancelAsked(), StepCancelled("a")],
        "a:cancelled b:pending",
        ["finish cancelled"],
    ),
    (
        "a run that failed before it was cancelled has failed",
        "a>b",
        {},
        [StepFailed("a", ERROR), CancelAsked()],
        "a:failed b:pending",
        ["finish failed"],
    ),
    (
        "steps that never started are cancelled with the run",
        "a>b",
        {},
        [StepFailed("a", ERROR), RunFinished("failed")],
        "a:failed b:cancelled",
        [],
    ),
    (
        "a reset opens the failed step and what came after",
        "a>b",
        {},
        [StepFailed("a", ERROR), RunFinished("failed"), StepReset()],
        "a:pending b:pending",
        ["start a #2"],
    ),
    (
        "a reset keeps what was done",
        "r>a r>b b>c",
        {},
        [did("r"), did("a"), StepFailed("b", ERROR), RunFinished("failed"), StepReset(("b",))],
        "r:succeeded a:succeeded b:pending c:pending",
        ["start b #2"],
    ),
    (
        "a reset has what nobody knows looked for, and starts nothing in its place",
        "a>b",
        {},
        [StepIntended("a"), StepUnknown("a", ERROR), CancelAsked(), RunFinished("cancelled"), StepReset()],
        "a:running b:pending",
        [],
    ),
    (
        "a cancelled run can go on",
        "a>b",
        {},
        [did("a"), CancelAsked(), RunFinished("cancelled"), StepReset()],
        "a:succeeded b:pending",
        ["start b"],
    ),
    (
        "while planning, an undecided condition plans both ways as maybe",
        "if.true>b if.false>c",
        {"if": CONDITION},
        [did("if", UNKNOWN_PORT)],
        "if:succeeded b:pending c:pending",
        ["start b?", "start c?"],
    ),
    (
        "a maybe goes on as maybe",
        "if.true>b b>d",
        {"if": CONDITION},
        [did("if", UNKNOWN_PORT), did("b")],
        "if:succeeded b:succeeded d:pending",
        ["start d?"],
    ),
    (
        "a sure way makes a join sure",
        "a>if a>e if.true>b b>d e>d",
        {"if": CONDITION},
        [did("a"), did("if", UNKNOWN_PORT), did("b"), did("e")],
        "a:succeeded if:succeeded e:succeeded b:succeeded d:pending",
        ["start d"],
    ),
    (
        "an undecided step does not take its error branch",
        "if.true>b if.error>c",
        {"if": {**CONDITION, "on_error": "branch"}},
        [did("if", UNKNOWN_PORT)],
        "if:succeeded b:pending c:pending",
        ["start b?", "skip c"],
    ),
]


@pytest.mark.parametrize(
    ("edges", "nodes", "events", "after", "commands"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_what_follows(edges, nodes, events, after, commands):
    drawn = graph(edges, **nodes)
    state = fold(drawn, events)
    assert states(state) == after
    assert told(next_commands(drawn, state)) == commands


REFUSED = [
    ("a step whose turn has not come", [did("b")]),
    ("a step that is done", [did("a"), did("a")]),
    ("an intent for a step that is done", [did("a"), StepIntended("a")]),
    ("a port that the step has not", [did("a", "true")]),
    ("anything after the end", [StepFailed("a", ERROR), RunFinished("failed"), did("a")]),
    ("a success of a cancelled run", [CancelAsked(), RunFinished("succeeded")]),
    ("a success of a failed run", [StepFailed("a", ERROR), RunFinished("succeeded")]),
    ("a success of a run that is not done", [did("a"), RunFinished("succeeded")]),
    ("a reset of a step that succeeded", [did("a"), StepReset(("a",))]),
    ("a reset of a step that is running", [StepIntended("a"), StepReset(("a",))]),
]


@pytest.mark.parametrize("events", [case[1] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(events):
    with pytest.raises(IllegalEvent):
        fold(graph("a>b"), events)


def test_the_old_state_is_still_whole():
    before = initial(graph("a>b"))
    apply(before, did("a"))
    assert states(before) == "a:pending b:pending"
    assert told(next_commands(before.graph, before)) == ["start a"]


def test_a_retry_is_due_at_its_time():
    drawn = graph("a>b")
    state = fold(drawn, [StepIntended("a", 1), StepFailed("a", ERROR, RETRY_AT)])
    at = datetime(2030, 1, 1, 0, 0, 10, tzinfo=UTC)
    assert next_due(state) == at
    assert due(state, at.replace(second=9)) == []
    assert told(due(state, at)) == ["start a #2"]
    assert due(apply(state, PauseAsked()), at) == []
    assert told(due(apply(apply(state, PauseAsked()), Resumed()), at)) == ["start a #2"]
    assert waits_for_people(state) == []
    again = fold(drawn, [StepIntended("a", 1), StepFailed("a", ERROR, RETRY_AT), StepIntended("a", 2)])
    assert again.node("a").state == "running"
    assert again.node("a").retry_at is None
    assert next_due(again) is None


def test_nothing_is_due_in_a_run_that_ends():
    state = fold(graph("a"), [StepFailed("a", ERROR, RETRY_AT), CancelAsked()])
    assert due(state, datetime(2031, 1, 1, tzinfo=UTC)) == []


def test_people_are_waited_for():
    drawn = graph("r>a r>b r>c")
    events = [
        did("r"),
        StepWaiting("a", {"kind": "approval"}),
        StepUnknown("b", ERROR),
        StepFailed("c", ERROR, RETRY_AT),
    ]
    assert waits_for_people(fold(drawn, events)) == ["a", "b"]


def test_an_unknown_step_does_not_hold_up_a_cancelled_run():
    drawn = graph("a>b")
    state = fold(drawn, [StepIntended("a"), StepUnknown("a", ERROR), CancelAsked()])
    assert told(next_commands(drawn, state)) == ["finish cancelled"]
    ended = apply(state, RunFinished("cancelled"))
    assert states(ended) == "a:unknown b:cancelled"


def test_tries_are_counted_from_the_reset():
    state = fold(graph("a"), [StepIntended("a", 3), StepFailed("a", ERROR), RunFinished("failed"), StepReset()])
    again = apply(state, StepIntended("a", 4))
    assert (again.node("a").attempt, again.node("a").tries) == (4, 1)


def test_what_is_looked_for_keeps_its_key_and_its_intent():
    """Else it would be sent once more under another key, and done twice."""
    intended = StepIntended("a", 2, key="k", change={"kind": "create", "target": "t"}, params={"name": "n"})
    lost = [intended, StepUnknown("a", ERROR), CancelAsked(), RunFinished("cancelled")]
    node = fold(graph("a>b"), [*lost, StepReset(("a",))]).node("a")
    assert (node.key, node.attempt, node.error) == ("k", 2, None)
    assert (node.change, node.params) == (intended.change, intended.params)


def test_one_step_runs_alone():
    drawn = graph("a>b b>c")
    state, _ = walk(drawn, only="b")
    assert states(state) == "a:skipped b:succeeded c:skipped"
    assert state.outcome == "succeeded"


def test_what_was_intended_stays_with_the_outcome():
    intended = StepIntended("a", 1, "key", {"kind": "create", "target": "t"}, "2030-01-01T00:00:00Z", {"user": "x"})
    node = fold(graph("a"), [intended, did("a")]).node("a")
    assert (node.key, node.change, node.params) == ("key", {"kind": "create", "target": "t"}, {"user": "x"})


def test_completion_is_ordered():
    drawn = graph("r>a r>b")
    state = fold(drawn, [did("r"), did("b"), did("a")])
    assert {name: node.done for name, node in state.nodes.items()} == {"r": 1, "b": 2, "a": 3}


def test_each_run_of_a_graph_begins_anew_and_none_keeps_the_graph():
    shared = graph("a>b")
    first = initial(shared)
    assert apply(first, did("a")) != first
    assert initial(shared) == first == initial(graph("a>b"))
    gone = ref(shared)
    del shared, first
    gc.collect()
    assert gone() is None
