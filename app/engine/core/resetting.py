"""A run that failed or was cancelled goes on: failed steps are tried again, what it never came to is open again.

A step of which nobody knows what became is not tried anew: its attempt is under way once more, with its key and its
intent, and whoever walks the run finds out what it did before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from app.core.errors import Problem
from app.engine.core.events import StepReset
from app.engine.core.graph import Graph, Layout
from app.engine.core.moves import arrived, begun, in_broken, over, with_body
from app.engine.core.state import PENDING, Arrivals, Body, IllegalEvent, NodeState, RunState
from app.engine.core.vector import Vector


def reset(state: RunState, event: StepReset) -> RunState:
    """The state after ``event``. Raises IllegalEvent for a step that cannot be tried again."""
    chosen = _chosen(state, event.nodes)
    again = _reopened(state, chosen)
    owners = {layout.owner for layout in state.graph.layouts}
    states = state.states.set_many({place: _as_new(state.states[place], place in owners) for place in again})
    failed = next((state.graph.order[p] for p, node in enumerate(states) if _stops_run(state.graph, p, node)), None)
    touched = sum(1 << place for place in again)
    looked_for = sum(1 << place for place in again if state.states[place].state == "unknown")
    state = replace(
        state,
        states=states,
        left=sum(not node.terminal for node in states),
        failed=failed,
        cancelling=False,
        paused=False,
        outcome=None,
        running=state.running | looked_for,
        unknown=sum(1 << place for place, node in enumerate(states) if node.state == "unknown"),
        waiting=state.waiting & ~touched,
        to_cancel=state.to_cancel & ~touched,
        finishing=state.finishing & ~touched,
    )
    inside = (place for place in again if state.graph.by_index[place].layout >= 0)
    state = replace(state, arrivals=state.arrivals.set_many({place: _arrivals(state, place) for place in inside}))
    return _going_on(_counted_anew(state), {place for place in again if not looked_for >> place & 1})


def reset_problems(state: RunState, names: Iterable[str], field: str) -> list[Problem]:
    """Why trying exactly these steps again would get nowhere; each problem names its step in ``params``.

    A step that did not stop the run is not tried again, and one beside which another stays failed would not begin.
    """
    named = [state.graph.nodes[name].index for name in names]
    fine = [place for place in named if not _can_reset(state, place)]
    if fine:
        return [
            _problem("retry_of_fine", f"{state.graph.order[p]} did not stop the run.", state, p, field) for p in fine
        ]
    after = reset(state, StepReset(tuple(names)))
    kept = [place for place, node in enumerate(after.states) if _stops(after.graph, place, node)]
    others = {other for place in named for other in kept if _keeps_down(after, other, place)}
    message = "{} has failed too, and stops the run again. Try it again with the others, or all that failed."
    return [_problem("retry_together", message.format(state.graph.order[p]), state, p, field) for p in sorted(others)]


def _problem(code: str, message: str, state: RunState, place: int, field: str) -> Problem:
    return Problem(code, message, field=field, params={"step": state.graph.order[place]})


def _keeps_down(state: RunState, failed: int, place: int) -> bool:
    """Whether nothing begins at ``place`` while the step at ``failed`` stays so."""
    if state.graph.by_index[failed].layout < 0:
        return True
    layout, iteration = state.graph.frames(failed)[0]
    around = {each.number: k for each, k in state.graph.frames(place)}
    return layout.number in around and (not state.bodies[layout.number].collect or around[layout.number] == iteration)


def _chosen(state: RunState, names: Iterable[str]) -> set[int]:
    """The failed steps to try again. With a step goes what failed in its body, and what failed because of it."""
    named = [state.graph.nodes[name].index for name in names]
    for place in named:
        if not _can_reset(state, place):
            raise IllegalEvent(f"{state.graph.order[place]} is {state.states[place].state} and cannot be tried again")
    every = [place for place in range(len(state.states)) if _can_reset(state, place)]
    if not named:
        return set(every)
    inside = {p for p in every if any(layout.owner in named for layout, _ in state.graph.frames(p))}
    around = {layout.owner for place in named for layout, _ in state.graph.frames(place)}
    return {*named, *inside, *(place for place in around if _can_reset(state, place))}


def _reopened(state: RunState, chosen: set[int]) -> set[int]:
    """``chosen``, and the steps that the run never came to: they were closed as cancelled with it. Not those of an
    iteration in which a step stays failed."""
    cancelled = {p for p, node in enumerate(state.states) if node.state == "cancelled" and not _sealed_off(state, p)}
    kept = {p for p, node in enumerate(state.states) if p not in chosen and _stops(state.graph, p, node)}
    stuck = {(layout.number, k) for place in kept for layout, k in state.graph.frames(place)[:1]}
    return chosen | {place for place in cancelled if not _is_stuck(state, place, stuck)}


def _is_stuck(state: RunState, place: int, stuck: set[tuple[int, int]]) -> bool:
    for layout, iteration in state.graph.frames(place):
        if (layout.number, iteration) in stuck:
            return True
        if not state.bodies[layout.number].collect and any(number == layout.number for number, _ in stuck):
            return True
    return False


def _as_new(node: NodeState, owner: bool) -> NodeState:
    if node.state == "unknown":
        return replace(node, state="running", error=None, earlier=node.attempt)
    again = replace(PENDING, attempt=node.attempt, earlier=node.attempt)
    # A body that was laid out stays so: its step goes on with it.
    return replace(again, state="running", params=node.params) if owner else again


def _can_reset(state: RunState, place: int) -> bool:
    node = state.states[place]
    again = node.state in ("cancelled", "unknown") or _stops(state.graph, place, node)
    return again and not _sealed_off(state, place)


def _sealed_off(state: RunState, place: int) -> bool:
    """Whether the step is in a body whose own step is done, so that the run has gone on after it."""
    for layout, _ in state.graph.frames(place):
        owner = state.states[layout.owner]
        if owner.terminal and owner.state != "cancelled" and not _stops(state.graph, layout.owner, owner):
            return True
    return False


def _stops(graph: Graph, place: int, node: NodeState) -> bool:
    return node.state == "failed" and graph.by_index[place].node.on_error == "stop"


def _stops_run(graph: Graph, place: int, node: NodeState) -> bool:
    """A failure inside a body is the body's step's to tell."""
    return graph.by_index[place].layout < 0 and _stops(graph, place, node)


def _counted_anew(state: RunState) -> RunState:
    for layout in state.graph.layouts:
        if not state.states[layout.owner].terminal:
            state = with_body(state, layout.number, _recounted(state, layout))
    return state


def _recounted(state: RunState, layout: Layout) -> Body:
    body = state.bodies[layout.number]
    left = [sum(not state.states[p].terminal for p in layout.places(k)) for k in range(layout.count)]
    broken = sum(
        1 << k for k in range(layout.count) if any(_stops(state.graph, p, state.states[p]) for p in layout.places(k))
    )
    return replace(body, left=Vector.of(left), open=sum(bool(number) for number in left[: body.started]), broken=broken)


def _going_on(state: RunState, again: Iterable[int]) -> RunState:
    ready, to_skip = state.ready, state.to_skip
    for place in again:
        if _has_begun(state, place):
            starts, skips = arrived(state, place, state.arrivals[place])
            ready |= starts << place
            to_skip |= skips << place
    state = replace(state, ready=ready, to_skip=to_skip)
    latest = {layout.owner: layout for layout in state.graph.layouts}
    for layout in latest.values():
        if state.states[layout.owner].state == "running":
            state = _filled(state, layout)
    return state


def _arrivals(state: RunState, place: int) -> Arrivals:
    """What leads to a step of a body, as far as it is done. Counted from the steps themselves: one that ended after its
    iteration was given up has told nobody."""
    node = state.graph.by_index[place]
    layout = state.graph.layouts[node.layout]
    body, start = state.graph.by_index[layout.owner].body, layout.places(layout.iteration(place)).start
    assert body is not None
    done = taken = 0
    for edge in node.incoming:
        source = state.states[start + body.nodes[edge.source].index]
        if source.state in ("succeeded", "skipped") or (source.state == "failed" and source.port is not None):
            done, taken = done + 1, taken + (source.port == edge.port)
    return Arrivals(done, taken)


def _has_begun(state: RunState, place: int) -> bool:
    number = state.graph.by_index[place].layout
    return number < 0 or state.graph.layouts[number].iteration(place) < state.bodies[number].started


def _filled(state: RunState, layout: Layout) -> RunState:
    """The state with as many iterations begun as may go on together; a body with none left is over."""
    body = state.bodies[layout.number]
    stopped = (body.broken and not body.collect) or in_broken(state, layout.owner)
    room = 0 if stopped else min((body.limit or layout.count) - body.open, layout.count - body.started)
    if room > 0:
        fresh = range(body.started, body.started + room)
        state = with_body(state, layout.number, replace(body, started=body.started + room, open=body.open + room))
        return begun(state, layout, fresh)
    return state if body.open else over(state, layout.owner)
