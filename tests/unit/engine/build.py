"""Small workflows for the tests of the core, and a runner that keeps to the planner's commands."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.engine.core.catalogue import Catalogue, StepInfo
from app.engine.core.document import SCHEMA, Document, parse_document
from app.engine.core.events import (
    Event,
    RunFinished,
    StepCancelled,
    StepFailed,
    StepIntended,
    StepSkipped,
    StepSucceeded,
)
from app.engine.core.graph import Graph, compile_graph
from app.engine.core.iterations import failure_of_body, latest_layout
from app.engine.core.plan import CancelStep, Command, FinishBody, FinishRun, SkipStep, StartStep, advance, next_commands
from app.engine.core.state import RunState, initial
from app.engine.steps.registry import flow_info, flow_steps

WORDS = {"en": "Test", "fr": "Essai"}
USER = {
    "$defs": {
        "User": {
            "type": "object",
            "properties": {
                "id": {"type": "string", "x-title": {"en": "Id", "fr": "Identifiant"}},
                "seats": {"type": "integer"},
                "share": {"type": "number"},
                "enabled": {"type": "boolean"},
                "groups": {"type": "array", "items": {"type": "string"}},
                "manager": {"anyOf": [{"$ref": "#/$defs/User"}, {"type": "null"}]},
                "department": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["id", "seats", "share", "enabled", "groups", "manager", "department"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/User",
}
PARAMS = {
    "type": "object",
    "properties": {
        "user": {"type": "string", "title": "User"},
        "seats": {"type": "integer", "minimum": 1, "default": 1},
        "share": {"type": "number"},
        "enabled": {"type": "boolean"},
        "plan": {"enum": ["E3", "E5"], "type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["user"],
    "additionalProperties": False,
}


def info(step: str, **more: Any) -> StepInfo:
    """A step type of the tests."""
    base: dict[str, Any] = {"version": 1, "title": WORDS, "summary": WORDS, "category": "test", "icon": "x"}
    return StepInfo(id=step, **{**base, "effect": "write", **more})


CATALOGUE = Catalogue(
    [
        *(flow_info(step) for step in flow_steps().values()),
        info("test.write"),
        info("test.fixed", reversible=False, irreversible_reason=WORDS),
        info("test.read", effect="read"),
        info("m365.user.create", connection="m365", params_schema=PARAMS, output_schema=USER),
    ]
)


def document(edges: str, inputs: Mapping[str, Any] | None = None, **nodes: Mapping[str, Any]) -> Document:
    """``document("a>b a.error>c", c={"type": "flow.log"})``: edges, and what differs from a plain write."""
    names: dict[str, None] = {}
    drawn = []
    for edge in edges.split():
        source, _, target = edge.partition(">")
        source, _, port = source.partition(".")
        names |= {source: None} | ({target: None} if target else {})
        if target:
            drawn.append({"source": source, "target": target, "port": port or "next"})
    every = [*names, *(name for name in nodes if name not in names)]
    return parse_document(
        {
            "schema": SCHEMA,
            "inputs": {"type": "object", "properties": {}, **(inputs or {})},
            "nodes": [{"id": name, "type": "test.write", **nodes.get(name, {})} for name in every],
            "edges": drawn,
        }
    )


def graph(edges: str, **nodes: Mapping[str, Any]) -> Graph:
    return compile_graph(document(edges, **nodes), CATALOGUE)


CONDITION = {"type": "flow.condition", "params": {"expression": "true"}}


def states(state: RunState) -> str:
    """``"a:succeeded b:running"``, in topological order."""
    return " ".join(f"{name}:{node.state}" for name, node in state.nodes.items())


def told(commands: Iterable[Command]) -> list[str]:
    """Commands in short: ``start a``, ``start a?`` (maybe), ``skip b``, ``cancel c``, ``finish succeeded``."""
    short = []
    for command in commands:
        match command:
            case StartStep(node, attempt, maybe):
                short.append(f"start {node}{'?' if maybe else ''}{f' #{attempt}' if attempt > 1 else ''}")
            case SkipStep(node, port):
                short.append(f"skip {node}{f' by {port}' if port else ''}")
            case CancelStep(node):
                short.append(f"cancel {node}")
            case FinishBody(node):
                short.append(f"finish {node}")
            case FinishRun(outcome):
                short.append(f"finish {outcome}")
    return short


def over(node: str, state: RunState) -> Event:
    """What becomes of a step whose body is over: it fails with what failed inside, or gives how many there were."""
    layout = latest_layout(state, state.graph.nodes[node])
    if error := failure_of_body(state, layout):
        return StepFailed(node, error)
    return StepSucceeded(node, {"count": layout.count}, port=state.graph.nodes[node].ports[0])


Perform = Callable[[StartStep, RunState], list[Event]]


def succeed(command: StartStep, state: RunState) -> list[Event]:
    """A step that acts and succeeds."""
    return [StepIntended(command.node, command.attempt, "key"), StepSucceeded(command.node, {"id": command.node})]


def walk(graph: Graph, perform: Perform = succeed, only: str | None = None) -> tuple[RunState, list[Event]]:
    """Run to the end, one command after the other; the last state and the whole history."""
    state = initial(graph, only)
    queue = deque(next_commands(graph, state))
    history: list[Event] = []
    while queue:
        command = queue.popleft()
        for event in events_of(command, state, perform):
            state, more = advance(graph, state, event)
            history.append(event)
            queue.extend(more)
    return state, history


def events_of(command: Command, state: RunState, perform: Perform) -> list[Event]:
    """What performing ``command`` brings."""
    if isinstance(command, StartStep | SkipStep | CancelStep | FinishBody) and state.node(command.node).terminal:
        return []  # the part of the run that it was in has been given up
    match command:
        case StartStep():
            return [] if state.stopping else perform(command, state)
        case SkipStep(node, port):
            return [StepSkipped(node, port)] if not state.stopping else []
        case CancelStep(node):
            return [StepCancelled(node)]
        case FinishBody(node):
            return [] if state.stopping else [over(node, state)]
        case FinishRun(outcome):
            return [RunFinished(outcome)]
