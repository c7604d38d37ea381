"""How an event changes a run's state. Pure: the state that goes in is still whole when the next one comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from app.engine.core import events as e
from app.engine.core.document import ERROR_PORT
from app.engine.core.events import UNKNOWN_PORT
from app.engine.core.graph import Graph
from app.engine.core.moves import begun, broken, closed, is_maybe, moved, settled
from app.engine.core.resetting import reset
from app.engine.core.state import PENDING, Arrivals, Body, IllegalEvent, NodeState, RunState, initial
from app.engine.core.vector import Vector


def apply(state: RunState, event: e.Event) -> RunState:
    """The state after ``event``. Raises :class:`IllegalEvent` where it cannot follow, KeyError for an unknown node."""
    if state.outcome is not None and not isinstance(event, e.StepReset):
        raise IllegalEvent(f"the run is {state.outcome}: no {event.kind} event can follow")
    return _APPLY[type(event)](state, event)


def begin(graph: Graph, only: str | None = None, kept: Iterable[e.StepKept] = ()) -> RunState:
    """The state before anything happened. ``kept`` are steps whose results come from an earlier run, in topological
    order."""
    state = initial(graph, only)
    for event in kept:
        state = apply(state, event)
    return state


def fold(graph: Graph, events: Iterable[e.Event], only: str | None = None, kept: Iterable[e.StepKept] = ()) -> RunState:
    """The state that a stored history leads to."""
    state = begin(graph, only, kept)
    for event in events:
        state = apply(state, event)
    return state


def _intended(state: RunState, event: e.StepIntended) -> RunState:
    place, now = _open(state, event.node, event)
    node = NodeState(
        "running",
        attempt=event.attempt,
        maybe=is_maybe(state, place),
        change=event.change,
        key=event.key,
        deadline=event.deadline,
        params=event.params,
        earlier=now.earlier,
    )
    return moved(state, place, node, running=True)


def _waiting(state: RunState, event: e.StepWaiting) -> RunState:
    place, now = _open(state, event.node, event)
    node = replace(now, state="waiting", waiting_for=event.what, retry_at=None, maybe=is_maybe(state, place))
    return moved(state, place, node, waiting=True)


def _unknown(state: RunState, event: e.StepUnknown) -> RunState:
    place, now = _open(state, event.node, event)
    node = replace(now, state="unknown", error=event.error, attempt=event.attempt or max(now.attempt, 1))
    return moved(state, place, node, unknown=True)


def _succeeded(state: RunState, event: e.StepSucceeded) -> RunState:
    place, now = _open(state, event.node, event)
    graph_node = state.graph.by_index[place]
    if now.state == "running" and graph_node.body is not None and not state.finishing >> place & 1:
        raise IllegalEvent(f"{event.node} is not done: its body is not")
    if event.port not in graph_node.ports and event.port != UNKNOWN_PORT:
        raise IllegalEvent(f"{event.node} has no way out called {event.port}")
    node = NodeState(
        "succeeded",
        attempt=event.attempt or now.attempt or 1,
        maybe=is_maybe(state, place),
        port=event.port,
        output=event.output,
        change=event.change if event.change is not None else now.change,
        key=now.key,
        deadline=now.deadline,
        params=now.params,
        adopted=event.adopted,
        done=state.completed + 1,
        earlier=now.earlier,
    )
    return settled(state, graph_node, node, event.port)


def _expanded(state: RunState, event: e.StepExpanded) -> RunState:
    place, now = _open(state, event.node, event)
    count = len(event.items)
    if state.graph.by_index[place].body is None or not count:
        raise IllegalEvent(f"{event.node} has nothing to lay out")
    graph = state.graph.laid_out(place, count, event.first, unknown=event.unknown)
    layout = graph.layouts[-1]
    params = event.params if event.params is not None else now.params
    node = replace(
        now,
        state="running",
        attempt=now.attempt or 1,
        params=params,
        maybe=is_maybe(state, place),
        retry_at=None,
        waiting_for=None,
    )
    started, fresh = min(event.limit or count, count), count * layout.size
    body = Body(tuple(event.items), event.limit, event.collect, Vector.of([layout.size] * count), started, started)
    state = replace(
        moved(state, place, node),
        graph=graph,
        states=state.states.extended([PENDING] * fresh).set(place, node),
        arrivals=state.arrivals.extended([_NONE] * fresh),
        left=state.left + fresh,
        bodies=(*state.bodies, body),
    )
    return begun(state, layout, range(started))


_NONE = Arrivals()


def _failed(state: RunState, event: e.StepFailed) -> RunState:
    place, now = _open(state, event.node, event)
    # Zero where it was held back before its first try.
    attempt = event.attempt if event.attempt is not None else max(now.attempt, 1)
    if event.retry_at is not None:
        what = {"kind": "retry", "at": event.retry_at, **_interrupted_wait(now)}
        node = replace(
            now, state="waiting", attempt=attempt, error=event.error, retry_at=event.retry_at, waiting_for=what
        )
        return moved(state, place, node, waiting=True)
    graph_node = state.graph.by_index[place]
    on_error = graph_node.node.on_error
    port = {"stop": None, "continue": graph_node.info.ports[0], "branch": ERROR_PORT}[on_error]
    node = replace(
        now,
        state="failed",
        attempt=attempt,
        error=event.error,
        port=port,
        retry_at=None,
        waiting_for=None,
        maybe=is_maybe(state, place),
        done=state.completed + 1,
    )
    if on_error == "stop" and graph_node.layout >= 0:
        return broken(state, place, node)
    if on_error == "stop":
        return replace(closed(state, place, node), failed=state.failed or event.node)
    return settled(state, graph_node, node, port)


def _interrupted_wait(node: NodeState) -> dict[str, Any]:
    """What a step that looks until something is so was waiting for, under ``wait``: its next try is another look."""
    what = node.waiting_for or {}
    wait = what if what.get("kind") == "until" else what.get("wait")
    return {"wait": wait} if wait else {}


def _skipped(state: RunState, event: e.StepSkipped) -> RunState:
    place, now = _open(state, event.node, event)
    node = replace(now, state="skipped", port=event.port, done=state.completed + 1, maybe=is_maybe(state, place))
    return settled(state, state.graph.by_index[place], node, event.port)


def _kept(state: RunState, event: e.StepKept) -> RunState:
    place, _ = _open(state, event.node, event)
    node = NodeState(
        event.state,
        port=event.port,
        output=event.output,
        error=event.error,
        done=state.completed + 1,
        kept="edited" if event.edited else "kept",
    )
    return settled(state, state.graph.by_index[place], node, event.port)


def _cancelled(state: RunState, event: e.StepCancelled) -> RunState:
    place, now = _open(state, event.node, event)
    node = replace(now, state="cancelled", retry_at=None, waiting_for=None, done=state.completed + 1)
    return closed(state, place, node)


def _cancel_asked(state: RunState, event: e.CancelAsked) -> RunState:
    # A run that has already failed stays failed: what stopped it first is what happened to it.
    return state if state.failed is not None else replace(state, cancelling=True)


def _pause_asked(state: RunState, _event: e.PauseAsked) -> RunState:
    return replace(state, paused=True)


def _resumed(state: RunState, _event: e.Resumed) -> RunState:
    return replace(state, paused=False)


def _finished(state: RunState, event: e.RunFinished) -> RunState:
    if event.outcome == "succeeded" and (state.stopping or state.left):
        raise IllegalEvent("a run that was cancelled, failed or is not done cannot have succeeded")
    open_places = [place for place, node in enumerate(state.states) if not node.terminal and node.state != "unknown"]
    states = state.states.set_many({place: replace(state.states[place], state="cancelled") for place in open_places})
    return replace(
        state,
        states=states,
        outcome=event.outcome,
        ready=0,
        to_skip=0,
        running=0,
        waiting=0,
        left=0,
        finishing=0,
        to_cancel=0,
    )


def _open(state: RunState, name: str, event: e.Event) -> tuple[int, NodeState]:
    """The node's place and state. Raises IllegalEvent when it is done, or its turn has not come."""
    place = state.graph.nodes[name].index
    node = state.states[place]
    if node.terminal:
        raise IllegalEvent(f"{name} is {node.state}: no {event.kind} event can follow")
    if node is PENDING or node.state == "pending":
        turn = (state.ready | state.to_skip) >> place & 1
        if not turn and not isinstance(event, e.StepCancelled):
            raise IllegalEvent(f"{name} is not to start yet: no {event.kind} event can follow")
    return place, node


_APPLY: dict[type[Any], Callable[[RunState, Any], RunState]] = {
    e.StepIntended: _intended,
    e.StepSucceeded: _succeeded,
    e.StepExpanded: _expanded,
    e.StepFailed: _failed,
    e.StepSkipped: _skipped,
    e.StepWaiting: _waiting,
    e.StepUnknown: _unknown,
    e.StepKept: _kept,
    e.StepCancelled: _cancelled,
    e.StepReset: reset,
    e.CancelAsked: _cancel_asked,
    e.PauseAsked: _pause_asked,
    e.Resumed: _resumed,
    e.RunFinished: _finished,
}
