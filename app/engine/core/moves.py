"""What every event comes down to: a step moves, is done, and tells those after it; an iteration ends, and its body."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from app.engine.core.document import ERROR_PORT
from app.engine.core.events import UNKNOWN_PORT
from app.engine.core.graph import GraphNode, Layout
from app.engine.core.state import Arrivals, Body, NodeState, RunState
from app.engine.core.vector import Vector


def is_maybe(state: RunState, place: int) -> bool:
    """Whether the node will start only if something undecided leads to it (plan mode)."""
    node = state.graph.by_index[place]
    if node.incoming:
        return state.arrivals[place].taken == 0
    if node.layout < 0:
        return False
    layout = state.graph.layouts[node.layout]
    return layout.unknown or state.states[layout.owner].maybe


def moved(
    state: RunState,
    place: int,
    node: NodeState,
    *,
    running: bool = False,
    waiting: bool = False,
    unknown: bool = False,
) -> RunState:
    """The state with ``node`` in another state that is not its last."""
    bit = 1 << place
    keep = ~bit
    given_up = waiting and in_broken(state, place)
    return RunState(
        state.graph,
        state.states.set(place, node),
        state.arrivals,
        state.ready & keep,
        state.to_skip & keep,
        state.running | bit if running else state.running & keep,
        state.waiting | bit if waiting else state.waiting & keep,
        state.unknown | bit if unknown else state.unknown & keep,
        state.left,
        state.completed,
        state.failed,
        state.cancelling,
        state.outcome,
        state.finishing & keep,
        state.to_cancel | bit if given_up else state.to_cancel & keep,
        state.bodies,
        state.paused,
    )


def closed(
    state: RunState,
    place: int,
    node: NodeState,
    *,
    arrivals: Vector[Arrivals] | None = None,
    ready: int = 0,
    to_skip: int = 0,
) -> RunState:
    """The state with ``node`` done, and those after it told what the caller says. An iteration that ends with it lets
    the next begin."""
    keep = ~(1 << place)
    after = RunState(
        state.graph,
        state.states.set(place, node),
        state.arrivals if arrivals is None else arrivals,
        state.ready & keep | ready,
        state.to_skip & keep | to_skip,
        state.running & keep,
        state.waiting & keep,
        state.unknown & keep,
        state.left - 1,
        state.completed + 1,
        state.failed,
        state.cancelling,
        state.outcome,
        state.finishing & keep,
        state.to_cancel & keep,
        state.bodies,
        state.paused,
    )
    number = state.graph.by_index[place].layout
    return after if number < 0 else _counted(after, state.graph.layouts[number], place)


def settled(state: RunState, graph_node: GraphNode, node: NodeState, port: str | None) -> RunState:
    """The state with ``node`` done and every edge out of it decided: taken by ``port``, or not."""
    if not graph_node.out or in_broken(state, graph_node.index):
        return closed(state, graph_node.index, node)
    told: dict[int, Arrivals] = {}
    for edge_port, targets in graph_node.out.items():
        perhaps = edge_port != ERROR_PORT if port == UNKNOWN_PORT else edge_port == port and node.maybe
        taken = edge_port == port and not node.maybe
        for target in targets:
            now = told.get(target) or state.arrivals[target]
            told[target] = Arrivals(now.done + 1, now.taken + taken, now.perhaps + perhaps)
    ready = to_skip = 0
    for target, arrivals in told.items():
        starts, skips = arrived(state, target, arrivals)
        ready |= starts << target
        to_skip |= skips << target
    arrivals_now = state.arrivals.set(target, arrivals) if len(told) == 1 else state.arrivals.set_many(told)
    return closed(state, graph_node.index, node, arrivals=arrivals_now, ready=ready, to_skip=to_skip)


def arrived(state: RunState, place: int, arrivals: Arrivals) -> tuple[bool, bool]:
    """Whether the node may start now, and whether it is to be skipped now.

    A step starts once enough edges are done and one of them is surely taken. Where none is, all edges must be done: it
    then starts as a "maybe" (plan mode), or is skipped.
    """
    if state.states[place].state != "pending":
        return False, False
    node = state.graph.by_index[place]
    all_done = arrivals.done == len(node.incoming)
    starts = (arrivals.done >= node.needed and arrivals.taken > 0) or (all_done and arrivals.perhaps > 0)
    starts = starts or (all_done and not node.incoming)
    if starts and node.node.disabled:
        return False, True
    return starts, all_done and not starts


def in_broken(state: RunState, place: int) -> bool:
    """Whether the step belongs to an iteration that goes no further: a step of it failed, or of another one where
    failures stop the whole body."""
    number = state.graph.by_index[place].layout
    while number >= 0:
        layout = state.graph.layouts[number]
        broken = state.bodies[number].broken
        if broken and (not state.bodies[number].collect or broken >> layout.iteration(place) & 1):
            return True
        place = layout.owner
        number = state.graph.by_index[place].layout
    return False


def broken(state: RunState, place: int, node: NodeState) -> RunState:
    """The state after a step of a body failed for good: what its iteration (or the whole body) had yet to do is given
    up. What is being done is finished; the body ends when all of it has ended."""
    layout = state.graph.layouts[state.graph.by_index[place].layout]
    body = state.bodies[layout.number]
    iteration = layout.iteration(place)
    state = with_body(state, layout.number, replace(body, broken=body.broken | 1 << iteration))
    state = closed(state, place, node)
    scope = layout.places(iteration) if body.collect else range(layout.base, layout.base + layout.size * layout.count)
    return _given_up(state, scope)


def with_body(state: RunState, number: int, body: Body) -> RunState:
    bodies = (*state.bodies[:number], body, *state.bodies[number + 1 :])
    return replace(state, bodies=bodies)


def begun(state: RunState, layout: Layout, iterations: Iterable[int]) -> RunState:
    """The state in which the first steps of ``iterations`` may start."""
    inner = state.graph.by_index[layout.owner].body
    assert inner is not None
    first = sum(1 << node.index for node in inner.by_index if not node.incoming and not node.node.disabled)
    skip = sum(1 << node.index for node in inner.by_index if not node.incoming and node.node.disabled)
    ready, to_skip = state.ready, state.to_skip
    for iteration in iterations:
        start = layout.places(iteration).start
        ready |= first << start
        to_skip |= skip << start
    return replace(state, ready=ready, to_skip=to_skip)


def _counted(state: RunState, layout: Layout, place: int) -> RunState:
    """The state after a step of a body is done: its iteration may end with it."""
    body = state.bodies[layout.number]
    iteration = layout.iteration(place)
    left = body.left[iteration] - 1
    body = replace(body, left=body.left.set(iteration, left))
    if left or iteration >= body.started:
        return with_body(state, layout.number, body)
    return _ended(with_body(state, layout.number, replace(body, open=body.open - 1)), layout)


def _ended(state: RunState, layout: Layout) -> RunState:
    """The state after an iteration ended: the next one begins, or the body is over."""
    body = state.bodies[layout.number]
    stopped = (body.broken and not body.collect) or in_broken(state, layout.owner)
    if body.started < layout.count and not stopped:
        state = with_body(state, layout.number, replace(body, started=body.started + 1, open=body.open + 1))
        return begun(state, layout, [body.started])
    return state if body.open else over(state, layout.owner)


def over(state: RunState, owner: int) -> RunState:
    """The state after the last iteration of a body ended: its result is to be worked out, unless it was given up."""
    if in_broken(state, owner):
        return closed(state, owner, _cancelled(state, owner))
    return replace(state, finishing=state.finishing | 1 << owner)


def _given_up(state: RunState, scope: range) -> RunState:
    for layout in [layout for layout in state.graph.layouts if layout.owner in scope]:
        state = _given_up(state, range(layout.base, layout.base + layout.size * layout.count))
    for place in scope:
        now = state.states[place].state
        if now == "pending" or (now == "running" and state.finishing >> place & 1):
            state = closed(state, place, _cancelled(state, place))
        elif now == "waiting":
            state = replace(state, to_cancel=state.to_cancel | 1 << place)
    return state


def _cancelled(state: RunState, place: int) -> NodeState:
    return replace(state.states[place], state="cancelled", retry_at=None, waiting_for=None, done=state.completed + 1)
