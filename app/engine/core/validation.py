"""Everything that is wrong with a document, node by node, so that the builder can show it where it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx  # type: ignore[import-untyped, unused-ignore]

from app.core.errors import Problem
from app.engine.core.catalogue import Catalogue, StepInfo
from app.engine.core.checking import LOOP, ExpressionChecker, Surroundings, Upstream
from app.engine.core.concurrency import key_problems
from app.engine.core.document import Document, Node
from app.engine.core.forms import form_problems
from app.engine.core.idle import as_stored, idle_problems
from app.engine.core.params import inner_problems, param_problems
from app.engine.core.schema_check import schema_problem
from app.engine.core.structure import bare_graph, body_of, structure_problems, within
from app.engine.core.variables import names_set

_FATAL = frozenset({"empty_workflow", "too_many_nodes", "too_many_edges"})


def validate(
    document: Document,
    catalogue: Catalogue,
    connections: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> list[Problem]:
    """Everything that is wrong with ``document``; empty when it may run.

    ``connections`` maps the client's aliases to platforms (None: aliases are not checked), ``variables`` are the
    client's (None: any name passes). Every problem names its node and field, or its edge; a step inside another one is
    named ``holder.step``.
    """
    found = structure_problems(document, catalogue)
    if any(problem.code in _FATAL for problem in found):
        return found
    found.extend(_input_problems(document))
    if variables is not None:
        # Of what type a step sets a variable only the run will tell.
        variables = {**variables, **dict.fromkeys(names_set(document))}
    around = Surroundings(document, catalogue, upstream_of(document), variables)
    found.extend(_node_problems(around, connections))
    found.extend(key_problems(document, ExpressionChecker(around)))
    return found


def _node_problems(around: Surroundings, connections: Mapping[str, str] | None) -> Iterator[Problem]:
    checker = ExpressionChecker(around)
    for node in around.document.nodes:
        info = around.catalogue.get(node.type)
        if info is not None and not node.disabled:
            yield from _connection_problems(node, info, connections)
            yield from param_problems(node, info, checker)
            yield from form_problems(node, info)
            yield from idle_problems(node, info)
            if info.body is not None and node.body is not None:
                yield from _body_problems(node, info, around, connections)


def _body_problems(
    node: Node, info: StepInfo, around: Surroundings, connections: Mapping[str, str] | None
) -> Iterator[Problem]:
    body, problems = body_of(node)
    if body is None:
        yield from problems
        return
    found = structure_problems(body, around.catalogue)
    yield from (within(node.id, problem) for problem in found)
    if any(problem.code in _FATAL for problem in found):
        return
    inside = _inside(body, node, info, around)
    yield from (within(node.id, problem) for problem in _shadowing(inside))
    inner = _node_problems(inside, connections)
    # A sub-workflow is a stored version of another document: who draws this one cannot mend it here.
    yield from (within(node.id, one) for one in (as_stored(inner) if info.body == "workflow" else inner))
    # What the step gives is worked out when its body is done: every step inside has been by then.
    at_end = ExpressionChecker(replace(inside, upstream=lambda _earlier, _later: True))
    yield from inner_problems(node, info, at_end)


def _inside(body: Document, node: Node, info: StepInfo, around: Surroundings) -> Surroundings:
    """What the expressions of a body see: a sub-workflow only itself, a loop's body also what is around the loop."""
    upstream = upstream_of(body)
    if info.body == "workflow":
        return Surroundings(body, around.catalogue, upstream, around.variables)
    loop = around.loop | (LOOP if info.body == "each" else {"index"})
    return Surroundings(body, around.catalogue, upstream, around.variables, loop, around, node.id)


def _shadowing(inside: Surroundings) -> Iterator[Problem]:
    around = inside.outer.visible if inside.outer else {}
    for name in inside.nodes:
        if name in around:
            message = f"A step around this one is called {name} too. Give one of them another id."
            yield Problem("shadowed_node", message, field="id", node=name)


def upstream_of(document: Document) -> Upstream:
    """Whether one node is before another; None (cannot be told) while the document has a cycle."""
    graph = bare_graph(document)
    if not nx.is_directed_acyclic_graph(graph):
        return lambda _earlier, _later: None
    place = {name: index for index, name in enumerate(nx.topological_sort(graph))}
    before: dict[str, int] = {}
    for name in place:
        bits = 0
        for source in graph.predecessors(name):
            bits |= before[source] | 1 << place[source]
        before[name] = bits
    return lambda earlier, later: bool(before[later] >> place[earlier] & 1)


def _input_problems(document: Document) -> Iterator[Problem]:
    if document.inputs.get("type", "object") != "object":
        yield Problem("bad_inputs", "The inputs must be a JSON schema of type object.", field="inputs.type")
        return
    wrong = schema_problem(document.inputs)
    if wrong is not None:
        message, path = wrong
        field = f"inputs.{path}" if path else "inputs"
        yield Problem("bad_inputs", f"The inputs are no valid JSON schema: {message}.", field=field)


def _connection_problems(node: Node, info: StepInfo, connections: Mapping[str, str] | None) -> Iterator[Problem]:
    platform = info.platform(node.params)
    if platform is None:
        return
    params = {"platform": platform, "connection": node.connection}
    if not node.connection:
        message = f"{node.id} needs a connection to {platform}."
        yield Problem("missing_connection", message, field="connection", node=node.id, params=params)
    elif connections is not None and node.connection not in connections:
        message = f"The client has no connection called {node.connection}."
        yield Problem("unknown_connection", message, field="connection", node=node.id, params=params)
    elif connections is not None and connections[node.connection] != platform:
        message = f"{node.connection} is a connection to {connections[node.connection]}, not to {platform}."
        yield Problem("wrong_connection", message, field="connection", node=node.id, params=params)
