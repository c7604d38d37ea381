"""Which steps a run that begins in the middle keeps, and which outputs may be written by hand."""

from __future__ import annotations

import pytest

from app.engine.core.again import edit_problems, kept_steps, restored, stored, unknown_steps
from app.engine.core.events import (
    CancelAsked,
    RunFinished,
    StepCancelled,
    StepFailed,
    StepIntended,
    StepKept,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
)
from app.engine.core.plan import next_commands
from app.engine.core.transitions import begin, fold
from tests.unit.engine.build import CONDITION, graph, states, told

ERROR = {"remedy": "Rejected", "code": "rejected", "message": "no"}
USER = {
    "id": "1", "seats": 2, "share": 0.5, "enabled": True, "groups": [], "manager": None, "department": None,
}  # fmt: skip
ADD = {"type": "m365.user.create", "connection": "m365", "params": {"user": "x"}}


def did(node: str, port: str = "next") -> StepSucceeded:
    return StepSucceeded(node, {"id": node}, port=port)


DONE = [did("a"), did("b"), did("c"), RunFinished("succeeded")]
CASES = [
    ("from the last one", "a>b b>c", {}, DONE, ["c"], {}, "a:kept b:kept", ["start c"]),
    ("from the first one: nothing is kept", "a>b b>c", {}, DONE, ["a"], {}, "", ["start a"]),
    ("what is after the step runs anew", "a>b b>c", {}, DONE, ["b"], {}, "a:kept", ["start b"]),
    ("a branch beside it is kept", "a>b a>c", {}, DONE, ["b"], {}, "a:kept c:kept", ["start b"]),
    ("from two steps", "a>b a>c", {}, DONE, ["b", "c"], {}, "a:kept", ["start b", "start c"]),
    (
        "what had not ended runs anew with it",
        "a>b a>c",
        {},
        [did("a"), did("b"), StepFailed("c", ERROR), RunFinished("failed")],
        ["b"],
        {},
        "a:kept",
        ["start b", "start c"],
    ),
    (
        "a failure that the run went on from is kept",
        "a>b b>c",
        {"a": {"on_error": "continue"}},
        [StepFailed("a", ERROR), did("b"), did("c"), RunFinished("succeeded")],
        ["c"],
        {},
        "a:kept b:kept",
        ["start c"],
    ),
    (
        "the way taken stays taken",
        "if.true>b if.false>c b>d",
        {"if": CONDITION},
        [did("if", "true"), StepSkipped("c"), did("b"), did("d"), RunFinished("succeeded")],
        ["d"],
        {},
        "if:kept c:kept b:kept",
        ["start d"],
    ),
    ("an output is edited", "a>b b>c", {}, DONE, ["c"], {"b": {}}, "a:kept b:edited", ["start c"]),
    (
        "a failed step is given an output",
        "a>b b>c",
        {},
        [did("a"), StepFailed("b", ERROR), RunFinished("failed")],
        ["c"],
        {"b": {}},
        "a:kept b:edited",
        ["start c"],
    ),
    (
        "an edit that leads another way: what follows runs anew",
        "a>b a.error>c",
        {"a": {"on_error": "branch"}},
        [StepFailed("a", ERROR), did("c"), StepSkipped("b"), RunFinished("succeeded")],
        ["b"],
        {"a": {}},
        "a:edited",
        ["start b", "skip c"],
    ),
    (
        "a step that never came to its turn runs anew",
        "a>b b>c",
        {},
        [did("a"), StepFailed("b", ERROR), StepCancelled("c"), RunFinished("failed")],
        ["c"],
        {},
        "a:kept",
        ["start b"],
    ),
]


@pytest.mark.parametrize(
    ("edges", "nodes", "history", "start", "edited", "kept", "commands"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_what_is_kept(edges, nodes, history, start, edited, kept, commands):
    drawn = graph(edges, **nodes)
    found = kept_steps(drawn, fold(drawn, history), start, edited)
    assert restored(stored(found)) == tuple(found)
    state = begin(drawn, kept=found)
    shown = {name: node.kept for name, node in state.nodes.items() if node.kept}
    wanted = dict(part.split(":") for part in kept.split())
    assert shown == wanted
    assert told(next_commands(drawn, state)) == commands


@pytest.mark.parametrize(("start", "found"), [(["c"], ["b"]), (["a"], ["b"]), (["b"], []), (["b", "c"], [])])
def test_what_nobody_knows_of_is_not_begun_anew_unless_it_is_named(start, found):
    history = [did("a"), StepIntended("b"), StepUnknown("b", ERROR), CancelAsked(), RunFinished("cancelled")]
    assert unknown_steps(fold(graph("a>b b>c"), history), start) == found


def test_a_kept_step_changed_nothing_here():
    """An undo of the new run takes back what the new run did, and no more."""
    drawn = graph("a>b")
    was = fold(drawn, [StepSucceeded("a", {}, {"kind": "create", "reversible": True}), did("b")])
    state = begin(drawn, kept=kept_steps(drawn, was, ["b"], {}))
    assert state.node("a").change is None
    assert states(state) == "a:succeeded b:pending"


@pytest.mark.parametrize(
    ("output", "code", "field"),
    [
        (USER, None, None),
        ({**USER, "seats": "two"}, "wrong_type", "outputs.add.seats"),
        ({key: value for key, value in USER.items() if key != "id"}, "missing_field", "outputs.add.id"),
        ({**USER, "more": 1}, "unknown_field", "outputs.add.more"),
        ({**USER, "id": {"$unknown": "steps.x"}}, "edit_of_unknown", "outputs.add"),
        ({**USER, "id": "x" * 1_000_001}, "output_too_big", "outputs.add"),
        ({**USER, "seats": 2**60}, "output_too_number", "outputs.add"),
        ([], "wrong_type", "outputs.add"),
        (None, "wrong_type", "outputs.add"),
    ],
)
def test_an_edited_output_is_one_that_the_step_could_have_given(output, code, field):
    drawn = graph("add>b", add=ADD)
    found = edit_problems(drawn, fold(drawn, [did("add"), did("b")]), ["b"], {"add": output})
    assert [(problem.code, problem.field) for problem in found] == ([(code, field)] if code else [])
    assert all(problem.node == "add" for problem in found)


@pytest.mark.parametrize(
    ("name", "code"),
    [("nothing", "unknown_step"), ("b", "edit_of_start"), ("if", "edit_of_decision"), ("c", "edit_of_idle")],
)
def test_what_cannot_be_edited(name, code):
    drawn = graph("if.true>b if.false>c", **{"if": CONDITION})
    history = [did("if", "true"), StepSkipped("c"), did("b"), RunFinished("succeeded")]
    (problem,) = edit_problems(drawn, fold(drawn, history), ["b"], {name: {}})
    assert problem.code == code


FIELDS = {"properties": {"size": {"type": "integer"}, "why": {"type": "string"}}, "required": ["size"]}
FORM = {"type": "flow.form", "params": {"title": "How large?", "fields": FIELDS}}
WAIT = {"type": "flow.wait", "params": {"amount": 1}}
WAITED = {"timed_out": True, "found": {"id": 1}}


@pytest.mark.parametrize(
    ("node", "answered", "output", "kept"),
    [
        (FORM, StepSucceeded("q", {"size": 1, "why": None}), {"size": 2}, ("next", {"size": 2, "why": None})),
        (WAIT, StepSucceeded("q", WAITED, port="timeout"), WAITED | {"found": 2}, ("timeout", WAITED | {"found": 2})),
        (WAIT, StepFailed("q", ERROR), WAITED, ("next", WAITED)),
    ],
    ids=["a form", "a wait that was left by its deadline", "a wait that failed"],
)
def test_an_edited_step_is_left_by_the_way_that_was_taken(node, answered, output, kept):
    drawn = graph("q>b q.timeout>c", q=node)
    was = fold(drawn, [answered])
    assert edit_problems(drawn, was, ["b", "c"], {"q": output}) == []
    (event,) = kept_steps(drawn, was, ["b", "c"], {"q": output})
    assert ((event.port, event.output), event.edited) == (kept, True)


@pytest.mark.parametrize(
    ("output", "code", "field"),
    [
        ({"size": "large"}, "wrong_type", "outputs.q.size"),
        ({"why": "so"}, "missing_field", "outputs.q.size"),
        ({"size": 1, "more": 1}, "unknown_field", "outputs.q.more"),
        ([], "wrong_type", "outputs.q"),
    ],
)
def test_an_edited_answer_is_one_that_the_form_takes(output, code, field):
    drawn = graph("q>b", q=FORM)
    (problem,) = edit_problems(drawn, fold(drawn, [StepSucceeded("q", {"size": 1})]), ["b"], {"q": output})
    assert (problem.code, problem.field, problem.node) == (code, field, "q")
    assert "workflow" not in problem.message


def test_only_kept_steps_are_read_back():
    assert restored(stored([StepKept("a", {"id": "1"})])) == (StepKept("a", {"id": "1"}),)
    with pytest.raises(ValueError, match="kept"):
        restored([StepSkipped("a").to_json()])
