"""Steps that hold others: how their bodies are laid out, go on, fail, and are tried again."""

from __future__ import annotations

import pytest

from app.engine.core.events import (
    CancelAsked,
    RunFinished,
    StepCancelled,
    StepExpanded,
    StepFailed,
    StepIntended,
    StepReset,
    StepSucceeded,
    StepWaiting,
    event_from_json,
)
from app.engine.core.plan import next_commands
from app.engine.core.resetting import reset_problems
from app.engine.core.state import IllegalEvent
from app.engine.core.transitions import apply, fold
from app.engine.core.undo import undo_graph
from app.engine.core.values import Scope, Unknown, scope_at
from tests.unit.engine.build import document, graph, over, states, told

ERROR = {"remedy": "Rejected", "code": "rejected", "message": "no"}


def holding(edges: str, kind: str = "flow.for_each", *, params=None, inputs=None, **nodes):
    """A node that holds the steps drawn by ``edges``."""
    body = document(edges, inputs, **nodes).as_json()
    return {"type": kind, "params": params or {"items": "{{ inputs.list }}"}, "body": body}


def each(edges: str = "x>y", **nodes):
    """``a``, then ``e`` that does ``edges`` for each item, then ``z``."""
    own = {name: nodes.pop(name) for name in ("e",) if name in nodes}
    return graph("a>e e>z", e={**holding(edges, **nodes), **own.get("e", {})})


def did(node: str) -> StepSucceeded:
    return StepSucceeded(node, {"id": node})


def laid_out(*items, **more) -> list:
    return [did("a"), StepExpanded("e", items or (1, 2), **more)]


CASES = [
    (
        "every item begins",
        laid_out(),
        "a:succeeded e:running z:pending e[0].x:pending e[0].y:pending e[1].x:pending e[1].y:pending",
        ["start e[0].x", "start e[1].x"],
    ),
    (
        "no more at a time than allowed",
        laid_out(1, 2, 3, limit=2),
        None,
        ["start e[0].x", "start e[1].x"],
    ),
    (
        "the next item begins when one is over",
        [*laid_out(1, 2, 3, limit=1), did("e[0].x"), did("e[0].y")],
        None,
        ["start e[1].x"],
    ),
    (
        "the step is over with its last item",
        [*laid_out(1), did("e[0].x"), did("e[0].y")],
        None,
        ["finish e"],
    ),
    (
        "and lets what is after it begin",
        [*laid_out(1), did("e[0].x"), did("e[0].y"), did("e")],
        "a:succeeded e:succeeded z:pending e[0].x:succeeded e[0].y:succeeded",
        ["start z"],
    ),
    (
        "a failure stops the items that are left",
        [*laid_out(1, 2, 3, limit=1), StepFailed("e[0].x", ERROR)],
        "a:succeeded e:running z:pending e[0].x:failed e[0].y:cancelled e[1].x:cancelled e[1].y:cancelled "
        "e[2].x:cancelled e[2].y:cancelled",
        ["finish e"],
    ),
    (
        "what another item is doing is finished first",
        [*laid_out(), StepIntended("e[1].x"), StepFailed("e[0].x", ERROR)],
        "a:succeeded e:running z:pending e[0].x:failed e[0].y:cancelled e[1].x:running e[1].y:cancelled",
        [],
    ),
    (
        "and goes no further",
        [*laid_out(), StepIntended("e[1].x"), StepFailed("e[0].x", ERROR), did("e[1].x")],
        None,
        ["finish e"],
    ),
    (
        "nobody is waited for any more",
        [*laid_out(), StepWaiting("e[1].x", {"kind": "approval"}), StepFailed("e[0].x", ERROR)],
        None,
        ["cancel e[1].x"],
    ),
    (
        "a collected failure ends its own item only",
        [*laid_out(collect=True, limit=1), StepFailed("e[0].x", ERROR)],
        "a:succeeded e:running z:pending e[0].x:failed e[0].y:cancelled e[1].x:pending e[1].y:pending",
        ["start e[1].x"],
    ),
    (
        "the failed step ends the run",
        [*laid_out(1), StepFailed("e[0].x", ERROR), StepFailed("e", ERROR)],
        None,
        ["finish failed"],
    ),
    (
        "a cancelled run waits for what is being done",
        [*laid_out(), StepIntended("e[0].x"), StepWaiting("e[1].x", {"kind": "approval"}), CancelAsked()],
        None,
        ["cancel e[1].x"],
    ),
]


@pytest.mark.parametrize(("history", "found", "commands"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_course(history, found, commands):
    state = fold(each(), history)
    if found is not None:
        assert states(state) == found
    assert told(next_commands(state.graph, state)) == commands


@pytest.mark.parametrize(("history", "found", "commands"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_a_stored_history_leads_to_the_same_state(history, found, commands):
    drawn = each()
    assert fold(drawn, [event_from_json(event.to_json()) for event in history]) == fold(drawn, history)


def test_a_step_is_not_done_before_its_body():
    with pytest.raises(IllegalEvent, match="its body is not"):
        fold(each(), [*laid_out(), did("e")])


def test_a_step_without_a_body_cannot_be_laid_out():
    with pytest.raises(IllegalEvent):
        fold(graph("a>b"), [StepExpanded("a", (1,))])


def test_another_round_is_laid_out_beside_the_first():
    drawn = graph("r", r=holding("x", "flow.repeat_until", params={"until": "true"}))
    state = fold(drawn, [StepExpanded("r", (None,)), did("r[0].x"), StepExpanded("r", (None,), first=1)])
    assert states(state) == "r:running r[0].x:succeeded r[1].x:pending"
    assert told(next_commands(state.graph, state)) == ["start r[1].x"]
    state = apply(apply(state, did("r[1].x")), did("r"))
    assert told(next_commands(state.graph, state)) == ["finish succeeded"]


def failed_run(**more):
    """The second of three items failed, and the run with it."""
    history = [*laid_out(1, 2, 3, limit=2, **more), did("e[0].x"), did("e[0].y"), StepFailed("e[1].x", ERROR)]
    state = fold(each(), history)
    while commands := next_commands(state.graph, state):
        assert told(commands) in (["finish e"], ["finish failed"])
        event = over("e", state) if told(commands) == ["finish e"] else RunFinished("failed")
        state = apply(state, event)
    return state


def test_the_failure_names_the_step_inside():
    assert failed_run().node("e").error == {"step": "e[1].x", **ERROR}


@pytest.mark.parametrize("nodes", [(), ("e[1].x",), ("e",)], ids=["all", "the step inside", "the step around"])
def test_a_failed_item_is_tried_again_and_the_others_go_on(nodes):
    state = apply(failed_run(), StepReset(nodes))
    assert told(next_commands(state.graph, state)) == ["start e[1].x #2", "start e[2].x"]
    for name in ("e[1].x", "e[1].y", "e[2].x", "e[2].y", "e", "z"):
        state = apply(state, did(name))
    assert told(next_commands(state.graph, state)) == ["finish succeeded"]


def test_collected_failures_are_not_tried_again_by_what_fails_later():
    history = [*laid_out(collect=True), StepFailed("e[0].x", ERROR), did("e[1].x"), did("e[1].y"), did("e")]
    state = fold(each(), [*history, StepFailed("z", ERROR), RunFinished("failed"), StepReset()])
    assert told(next_commands(state.graph, state)) == ["start z #2"]
    assert state.node("e[0].y").state == "cancelled"


def test_an_item_that_ended_after_the_loop_was_given_up_goes_on_from_there():
    """Its step was under way when another item failed, and had nobody to tell when it was done."""
    history = [*laid_out(), StepIntended("e[1].x"), StepFailed("e[0].x", ERROR), did("e[1].x")]
    history += [StepFailed("e", ERROR), RunFinished("failed"), StepReset()]
    state = fold(each(), history)
    assert told(next_commands(state.graph, state)) == ["start e[0].x #2", "start e[1].y"]


@pytest.mark.parametrize(("port", "command"), [("true", "start e[1].y"), ("false", "skip e[1].y")])
def test_it_goes_on_by_the_way_that_was_taken(port, command):
    drawn = each("x.true>y", x={"type": "flow.condition", "params": {"expression": "true"}})
    history = [*laid_out(), StepIntended("e[1].x"), StepFailed("e[0].x", ERROR), StepSucceeded("e[1].x", port=port)]
    state = fold(drawn, [*history, StepFailed("e", ERROR), RunFinished("failed"), StepReset()])
    assert told(next_commands(state.graph, state)) == ["start e[0].x #2", command]


BOTH_FAILED = [StepIntended("e[1].x"), StepFailed("e[0].x", ERROR), StepFailed("e[1].x", ERROR)]
END = [StepFailed("e", ERROR), RunFinished("failed")]


@pytest.mark.parametrize(
    ("history", "names", "found"),
    [
        ([*laid_out(), *BOTH_FAILED, *END], ["e[0].x"], [("retry_together", "e[1].x")]),
        ([*laid_out(), *BOTH_FAILED, *END], ["e[0].x", "e[1].x"], []),
        ([*laid_out(), *BOTH_FAILED, *END], ["e"], []),
        ([*laid_out(), StepFailed("e[0].x", ERROR), *END], ["e[0].y"], [("retry_together", "e[0].x")]),
        ([*laid_out(), StepFailed("e[0].x", ERROR), *END], ["e[1].y"], [("retry_together", "e[0].x")]),
        ([*laid_out(), StepFailed("e[0].x", ERROR), *END], ["z"], [("retry_together", "e")]),
        ([*laid_out(), StepFailed("e[0].x", ERROR), *END], ["a", "e"], [("retry_of_fine", "a")]),
        ([*laid_out(collect=True), *BOTH_FAILED, *END], ["e[0].x"], []),
    ],
)
def test_what_is_named_must_be_able_to_go_on(history, names, found):
    state = fold(each(), history)
    assert [(one.code, one.params["step"]) for one in reset_problems(state, names, "nodes")] == found


def test_a_branch_that_failed_too_keeps_the_run_down():
    history = [did("a"), StepIntended("b"), StepFailed("c", ERROR), StepFailed("b", ERROR), RunFinished("failed")]
    state = fold(graph("a>b a>c"), history)
    assert [one.params["step"] for one in reset_problems(state, ["c"], "nodes")] == ["b"]
    assert reset_problems(state, ["b", "c"], "nodes") == []


def test_a_cancelled_loop_goes_on_where_it_was():
    history = [*laid_out(1, 2, 3, limit=1), did("e[0].x"), CancelAsked(), RunFinished("cancelled"), StepReset()]
    state = fold(each(), history)
    assert told(next_commands(state.graph, state)) == ["start e[0].y"]
    state = apply(state, did("e[0].y"))
    assert told(next_commands(state.graph, state)) == ["start e[1].x"]


def nested():
    inner = holding("w", params={"items": "{{ item }}"})
    return graph("e>z", e=holding("x>i", i=inner))


def test_a_loop_in_a_loop():
    state = fold(nested(), [StepExpanded("e", ([1], [2])), did("e[0].x"), StepExpanded("e[0].i", (1, 2))])
    assert told(next_commands(state.graph, state)) == ["start e[1].x", "start e[0].i[0].w", "start e[0].i[1].w"]


def test_a_failure_deep_inside_ends_what_is_around_it():
    history = [
        StepExpanded("e", ([1],)),
        did("e[0].x"),
        StepExpanded("e[0].i", (1, 2)),
        StepFailed("e[0].i[0].w", ERROR),
    ]
    state = fold(nested(), history)
    assert told(next_commands(state.graph, state)) == ["finish e[0].i"]
    state = apply(state, over("e[0].i", state))
    assert told(next_commands(state.graph, state)) == ["finish e"]
    assert over("e", state).error == {**ERROR, "step": "e[0].i[0].w"}


def test_a_failure_beside_a_loop_gives_the_loop_up():
    drawn = graph("e", e=holding("x>i x>v", i=holding("w")))
    begun = [StepExpanded("e", (1,)), did("e[0].x"), StepExpanded("e[0].i", (1, 2)), StepIntended("e[0].i[0].w")]
    state = fold(drawn, [*begun, StepFailed("e[0].v", ERROR)])
    assert told(next_commands(state.graph, state)) == []
    state = apply(state, did("e[0].i[0].w"))
    assert state.node("e[0].i").state == "cancelled"
    assert told(next_commands(state.graph, state)) == ["finish e"]


def test_a_cancelled_wait_ends_the_body():
    history = [*laid_out(), StepWaiting("e[1].x", {"kind": "approval"}), StepFailed("e[0].x", ERROR)]
    state = fold(each(), [*history, StepCancelled("e[1].x")])
    assert told(next_commands(state.graph, state)) == ["finish e"]


def test_what_is_seen_inside():
    drawn = each("x>y", e={"params": {"items": "{{ steps.a.output.list }}"}})
    events = [StepSucceeded("a", {"id": "outer"}), StepExpanded("e", ("anna", "bea")), did("e[1].x")]
    seen = scope_at(Scope(inputs={"n": 1}), fold(drawn, events), "e[1].y")
    assert (seen.item, seen.index, seen.inputs) == ("bea", 1, {"n": 1})
    assert seen.steps["x"] == {"id": "e[1].x"}
    assert seen.steps["a"] == {"id": "outer"}
    assert sorted(seen.steps) == ["a", "e", "x", "y", "z"]
    with pytest.raises(KeyError):
        seen.steps["e[0].x"]


def test_a_sub_workflow_sees_itself_only():
    drawn = graph("a>s", s=holding("x>y", "flow.workflow", params={"workflow": "Other"}))
    events = [did("a"), StepExpanded("s", ({"email": "anna@x"},)), did("s[0].x")]
    seen = scope_at(Scope(inputs={"n": 1}), fold(drawn, events), "s[0].y")
    assert seen.inputs == {"email": "anna@x"}
    assert seen.steps["x"] == {"id": "s[0].x"}
    with pytest.raises(KeyError):
        seen.steps["a"]


def test_while_planning_a_list_that_nobody_knows():
    state = fold(each(), [did("a"), StepExpanded("e", ({"$unknown": "list[?]"},), unknown=True)])
    assert told(next_commands(state.graph, state)) == ["start e[?].x?"]
    seen = scope_at(Scope(), state, "e[?].x", planning=True)
    assert (seen.item, seen.index) == (Unknown("list[?]"), Unknown("index"))


def test_undo_takes_back_what_was_done_inside():
    change = {"kind": "create", "target": "t", "reversible": True}
    done = [StepSucceeded(name, {}, change) for name in ("e[0].x", "e[1].x", "e[1].y", "e[0].y")]
    state = fold(each(), [*laid_out(), *done, did("e"), StepSucceeded("z", {}, change)])
    assert undo_graph(state).order == ("z", "e[0].y", "e[1].y", "e[1].x", "e[0].x")


def test_a_body_laid_out_at_the_second_try_waits_for_nothing_any_more():
    failed = StepFailed("e", ERROR, retry_at="2030-01-01T00:00:00+00:00")
    holder = fold(each(), [did("a"), failed, StepExpanded("e", (1, 2))]).node("e")
    assert (holder.state, holder.retry_at, holder.waiting_for, holder.attempt) == ("running", None, None, 1)
