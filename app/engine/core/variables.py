"""A client's variables as a run sees them: those it found, and over them what its own steps have set since.

The seal holds the variables as they are before the run, without those that the run itself sets: these are among its
changes, with what they were before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from app.engine.core.document import Document
from app.engine.core.graph import Graph, Layout
from app.engine.core.moves import is_maybe
from app.engine.core.state import RunState
from app.engine.core.values import Unknown, with_unknowns

SET_VARIABLE = "flow.set_variable"
TARGET = "client.variable:"

Json = Mapping[str, Any]
_setters: WeakKeyDictionary[Graph, tuple[int, ...]] = WeakKeyDictionary()


def variables_at(found: Json, state: RunState, node: str, *, planning: bool = False) -> Json:
    """The client's variables as ``node`` sees them: what steps before it have set counts, in the order they were done.

    Steps of other branches do not: whether they are done by then would be chance.
    """
    if not setters_of(state.graph):
        return found
    reader = state.graph.nodes[node].index
    return _seen(found, state, reader, state.completed, sure=not is_maybe(state, reader), planning=planning)


def variables_after(found: Json, state: RunState, layout: Layout, iteration: int, *, planning: bool = False) -> Json:
    """The client's variables as they are when an iteration ends: what was set until its last step was done counts."""
    if not setters_of(state.graph):
        return found
    last = max(layout.places(iteration), key=lambda place: state.states[place].done)
    sure = not (layout.unknown or state.states[layout.owner].maybe)
    return _seen(found, state, last, state.states[last].done, sure=sure, planning=planning)


def _seen(found: Json, state: RunState, reader: int, until: int, *, sure: bool, planning: bool) -> Json:
    """The variables with what the steps before ``reader`` have set that were the ``until``-th to be done, or earlier.

    ``sure``: the reader runs for certain, so while planning it cannot count on what perhaps runs.
    """
    states = state.states
    every = sorted((p for p in setters_of(state.graph) if states[p].state == "succeeded"), key=lambda p: states[p].done)
    done = [p for p in every if states[p].done <= until and _is_before(state.graph, p, reader)]
    values = _without_own(found, state, every)
    for place in done:
        name = state.graph.by_index[place].node.params.get("name")
        output = state.states[place].output
        if isinstance(name, str):
            perhaps = planning and state.states[place].maybe and sure
            known = isinstance(output, Mapping) and "value" in output and not perhaps
            value = output["value"] if known else Unknown(f"client.{name}")
            values[name] = with_unknowns(value) if planning else value
    return values


def _without_own(found: Json, state: RunState, setters: Iterable[int]) -> dict[str, Any]:
    """The variables as the run found them: what was read since may hold what its own steps have set."""
    values, known = dict(found), set()
    for place in setters:
        name, change = state.graph.by_index[place].node.params.get("name"), state.states[place].change
        if change is None or not isinstance(name, str) or name in known:
            continue
        known.add(name)
        if change.get("before") is None:
            values.pop(name, None)
        else:
            values[name] = change["before"]["value"]
    return values


def setters_of(graph: Graph) -> tuple[int, ...]:
    """The places of the steps that set a variable."""
    found = _setters.get(graph)
    if found is None:
        found = _setters[graph] = tuple(n.index for n in graph.by_index if n.node.type == SET_VARIABLE)
    return found


def names_set(document: Document) -> set[str]:
    """The names of the variables that a document's steps set, those inside others too, as far as they are written
    out."""
    return set(_names([node.model_dump(include={"type", "params", "body"}) for node in document.nodes]))


def sealed_variables(variables: Json, document: Document, changes: Iterable[Json]) -> dict[str, Any]:
    """The part of the variables that a seal holds: without those that the workflow sets.

    Nothing is lost by that: what they are before and after is in the changes, and so is whatever was made with them.
    """
    if not variables:
        return {}
    own = {str(change.get("target", "")).removeprefix(TARGET) for change in changes} | names_set(document)
    return {name: value for name, value in variables.items() if name not in own}


def _is_before(graph: Graph, earlier: int, later: int) -> bool:
    """Whether a step comes before another one; steps of one body count as they were done."""
    first, second = _outermost(graph, earlier), _outermost(graph, later)
    return first == second or bool(graph.before[second] >> first & 1)


def _outermost(graph: Graph, place: int) -> int:
    frames = graph.frames(place)
    return frames[-1][0].owner if frames else place


def _names(nodes: Any) -> Iterable[str]:
    for node in nodes if isinstance(nodes, list | tuple) else ():
        if not isinstance(node, Mapping):
            continue
        params = node.get("params")
        if node.get("type") == SET_VARIABLE and isinstance(params, Mapping) and isinstance(params.get("name"), str):
            yield params["name"]
        body = node.get("body")
        if isinstance(body, Mapping):
            yield from _names(body.get("nodes"))
