"""A run that begins in the middle: which steps keep the results of an earlier run, and which run anew."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from app.core.errors import Problem
from app.engine.core.document import DEFAULT_PORT, Excess, excess
from app.engine.core.events import StepKept, event_from_json
from app.engine.core.graph import Graph, GraphNode
from app.engine.core.inputs import check_inputs
from app.engine.core.schema_check import value_problems
from app.engine.core.state import NodeState, RunState
from app.engine.core.templates import holds_template
from app.engine.core.values import UNKNOWN_KEY

Json = Mapping[str, Any]

MAX_OUTPUT_BYTES = 1_000_000
_TOO: dict[Excess, str] = {
    "big": f"The output is larger than {MAX_OUTPUT_BYTES // 1_000_000} MB.",
    "deep": "The output is nested too deeply.",
    "number": "The output holds a number that is not finite or too large; write it as a text.",
}


def kept_steps(graph: Graph, state: RunState, start: Collection[str], edited: Json) -> list[StepKept]:
    """The steps that a run beginning at ``start`` keeps from the run that came to ``state``, in topological order.

    What stands in ``start`` runs anew, and so does what had not ended well, and everything downstream of either.
    ``edited`` are outputs that a person wrote: those steps are kept whatever became of them, unless they run anew
    because of what is upstream of them. They are left by the way that was taken; one that failed is now left by its
    usual way, and what follows runs anew.
    """
    drawn = _drawn(graph)
    anew = 0  # nodes whose descendants run anew, one bit each
    kept = []
    for node in graph.by_index:
        if node.id not in drawn:
            continue
        was = state.node(node.id)
        upstream = graph.before[node.index] & anew
        event = None if upstream or node.id in start else _kept(node, was, edited)
        if event is not None:
            kept.append(event)
        if event is None or event.port != was.port:
            anew |= 1 << node.index
    return kept


def unknown_steps(state: RunState, start: Collection[str]) -> list[str]:
    """Steps of which nobody knows what became, and that would run anew without having been named: neither they nor the
    step that holds them is in ``start``."""
    found = []
    for place, node in enumerate(state.states):
        around = [state.graph.order[layout.owner] for layout, _ in state.graph.frames(place)]
        if node.state == "unknown" and not {state.graph.order[place], *around} & set(start):
            found.append(state.graph.order[place])
    return found


def _drawn(graph: Graph) -> frozenset[str]:
    """The document's own steps: what a loop or a sub-workflow laid out belongs to the step that holds it."""
    return frozenset(node.id for node in graph.document.nodes)


def _kept(node: GraphNode, was: NodeState, edited: Json) -> StepKept | None:
    if node.id in edited:
        return StepKept(node.id, output=_completed(node, edited[node.id]), port=_way_out(node, was), edited=True)
    stopped = was.state == "failed" and was.port is None
    if was.state not in ("succeeded", "failed", "skipped") or stopped:
        return None
    return StepKept(node.id, output=was.output, port=was.port, state=was.state, error=was.error)


def _way_out(node: GraphNode, was: NodeState) -> str:
    """The port that the step left by, or its usual one where it failed."""
    return was.port if was.state == "succeeded" and was.port in node.info.ports else node.info.ports[0]


def _completed(node: GraphNode, output: Any) -> Any:
    """An answer to a form as the form itself would have given it: null for what was left out."""
    fields = _form_fields(node)
    return check_inputs(fields, output)[0] if fields is not None else output


def _form_fields(node: GraphNode) -> Json | None:
    """The JSON schema of the answers that the node asks for, where it is written out."""
    fields = node.node.params.get(node.info.output_from) if node.info.output_from else None
    if not isinstance(fields, Mapping) or holds_template(fields):
        return None
    return {"additionalProperties": False, **fields, "type": "object"}


def edit_problems(graph: Graph, state: RunState, start: Collection[str], edited: Json) -> list[Problem]:
    """What is wrong with outputs that a person wrote; each problem names its step and field."""
    return [problem for name, output in edited.items() for problem in _edit_problems(graph, state, start, name, output)]


def _edit_problems(graph: Graph, state: RunState, start: Collection[str], name: str, output: Any) -> list[Problem]:
    field = f"outputs.{name}"
    if name not in _drawn(graph):
        return [Problem("unknown_step", f"There is no step {name}.", field=field, params={"step": name})]
    node = graph.nodes[name]
    if name in start:
        message = f"{name} is where the run begins: it makes its own output."
        return [Problem("edit_of_start", message, field=field, node=name)]
    if node.info.ports_from is not None or node.info.ports[0] != DEFAULT_PORT:
        message = f"{name} decides which way the run goes. Begin at it instead of writing its output."
        return [Problem("edit_of_decision", message, field=field, node=name)]
    if state.node(name).state not in ("succeeded", "failed"):
        return [Problem("edit_of_idle", f"{name} had not run, so it has no output to edit.", field=field, node=name)]
    return output_problems(node, output, field)


def output_problems(node: GraphNode, output: Any, field: str) -> list[Problem]:
    """What is wrong with ``output``, which a person wrote in ``field``, as the output of ``node``."""
    beyond = excess(output, MAX_OUTPUT_BYTES)
    if beyond is not None:
        return [Problem(f"output_too_{beyond}", _TOO[beyond], field=field, node=node.id)]
    if _speaks_of_unknowns(output):
        message = f"An output cannot have a field called {UNKNOWN_KEY}: it stands for a value that nobody knows yet."
        return [Problem("edit_of_unknown", message, field=field, node=node.id)]
    fields = _form_fields(node)
    if fields is not None:
        return [_of_form(problem, node) for problem in check_inputs(fields, output, field)[1]]
    schema = node.info.output_schema or {"type": "object", "properties": {}}
    if node.info.open_output is not None or node.info.output_from is not None:
        schema = {"type": "object"}
    return value_problems(output, schema, schema, field, node.id)


def _of_form(problem: Problem, node: GraphNode) -> Problem:
    if problem.code == "unknown_field":
        problem = replace(problem, message=f"The form has no field called {(problem.field or '').rpartition('.')[2]}.")
    return replace(problem, node=node.id)


def _speaks_of_unknowns(value: Any) -> bool:
    if isinstance(value, Mapping):
        return UNKNOWN_KEY in value or any(map(_speaks_of_unknowns, value.values()))
    return isinstance(value, list | tuple) and any(map(_speaks_of_unknowns, value))


def stored(kept: Iterable[StepKept]) -> list[dict[str, Any]]:
    """Kept steps as a run stores them."""
    return [event.to_json() for event in kept]


def restored(raw: Iterable[Json]) -> tuple[StepKept, ...]:
    """What :func:`stored` gave. Raises ValueError for anything else."""
    found = [event_from_json(event) for event in raw]
    if not all(isinstance(event, StepKept) for event in found):
        raise ValueError("this is not a list of kept steps")
    return tuple(cast(StepKept, event) for event in found)
