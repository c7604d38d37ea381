"""What a step that holds others needs to know of the iterations that are over."""

from __future__ import annotations

from app.engine.core.events import Json
from app.engine.core.graph import GraphNode, Layout
from app.engine.core.state import RunState
from app.engine.core.values import Scope, scope_inside


def latest_layout(state: RunState, node: GraphNode) -> Layout:
    """Where the body of ``node`` was laid out last."""
    return next(layout for layout in reversed(state.graph.layouts) if layout.owner == node.index)


def failure_of(state: RunState, layout: Layout, iteration: int) -> Json | None:
    """The error that ended an iteration, with the failed step's name in ``step``; None where it is done."""
    if not state.bodies[layout.number].broken >> iteration & 1:
        return None
    failed = [place for place in layout.places(iteration) if _ended_it(state, place)]
    place = min(failed, key=lambda place: state.states[place].done)
    return {"step": state.graph.order[place], **(state.states[place].error or {})}


def failure_of_body(state: RunState, layout: Layout) -> Json | None:
    """The error with which the body's own step fails: the first iteration's that failed, unless they are collected."""
    if state.bodies[layout.number].collect:
        return None
    errors = (failure_of(state, layout, iteration) for iteration in range(layout.count))
    return next((error for error in errors if error is not None), None)


def scope_after(around: Scope, state: RunState, layout: Layout, iteration: int, *, planning: bool) -> Scope:
    """What an expression sees at the end of an iteration."""
    frames = [(layout, iteration), *state.graph.frames(layout.owner)]
    maybe = planning and (layout.unknown or state.states[layout.owner].maybe)
    return scope_inside(around, state, frames, maybe=maybe, planning=planning)


def _ended_it(state: RunState, place: int) -> bool:
    node = state.states[place]
    return node.state == "failed" and state.graph.by_index[place].node.on_error == "stop"
