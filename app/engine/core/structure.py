"""Whether a document's nodes and edges fit together: ids, types, ports, joins, cycles, and what nothing leads to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

import networkx as nx  # type: ignore[import-untyped, unused-ignore]

from app.core.errors import Invalid, Problem
from app.engine.core.catalogue import Catalogue, StepInfo, case_names
from app.engine.core.document import (
    DEFAULT_PORT,
    ERROR_PORT,
    MAX_EDGES,
    MAX_NODES,
    Document,
    Edge,
    Node,
    parse_document,
)

_PORT = re.compile(r"[a-z][a-z0-9_]{0,63}")


def structure_problems(document: Document, catalogue: Catalogue) -> list[Problem]:
    """Everything about the shape of the graph that keeps it from running."""
    too_many = [*_too_many(document)]
    if too_many:
        return too_many
    known = {node.id: node for node in document.nodes}
    found = [*_nodes(document, catalogue), *_edges(document, known, catalogue)]
    # A cycle also cuts its nodes off; saying both would send people looking in two places.
    cycles = [*_cycles(document)]
    return [*found, *cycles, *([] if cycles else _unconnected(document))]


def all_structure_problems(document: Document, catalogue: Catalogue) -> list[Problem]:
    """The same, with what is wrong inside the steps that have a body. A step of a body is named ``holder.step``."""
    found = structure_problems(document, catalogue)
    for node in document.nodes:
        if node.body is not None and node.type in catalogue and catalogue[node.type].body is not None:
            body, problems = body_of(node)
            found += problems
            if body is not None:
                found += [within(node.id, problem) for problem in all_structure_problems(body, catalogue)]
    return found


def body_of(node: Node) -> tuple[Document | None, list[Problem]]:
    """The document inside a node, or what keeps it from being one."""
    try:
        return parse_document(node.body), []
    except Invalid as error:
        return None, [within(node.id, problem) for problem in error.problems]


def within(holder: str, problem: Problem) -> Problem:
    """A problem of a body's step, or of the body itself, as its surroundings name it."""
    return replace(problem, node=f"{holder}.{problem.node}" if problem.node else holder)


def bare_graph(document: Document) -> nx.DiGraph[str]:
    """Node ids, and edges between nodes that exist."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(node.id for node in document.nodes)
    graph.add_edges_from((e.source, e.target) for e in document.edges if e.source in graph and e.target in graph)
    return graph


def _too_many(document: Document) -> Iterator[Problem]:
    if not document.nodes:
        yield Problem("empty_workflow", "The workflow has no step.", field="nodes")
    if len(document.nodes) > MAX_NODES:
        message = f"The workflow has {len(document.nodes)} steps; at most {MAX_NODES} are allowed."
        yield Problem("too_many_nodes", message, field="nodes", params={"limit": MAX_NODES})
    if len(document.edges) > MAX_EDGES:
        message = f"The workflow has {len(document.edges)} edges; at most {MAX_EDGES} are allowed."
        yield Problem("too_many_edges", message, field="edges", params={"limit": MAX_EDGES})


def _nodes(document: Document, catalogue: Catalogue) -> Iterator[Problem]:
    incoming = Counter(edge.target for edge in document.edges)
    error_edges = {edge.source for edge in document.edges if edge.port == ERROR_PORT}
    seen: set[str] = set()
    for node in document.nodes:
        if node.id in seen:
            yield Problem("duplicate_node", f"Two steps have the id {node.id}.", field="id", node=node.id)
        seen.add(node.id)
        if node.type not in catalogue:
            message = f"There is no step type {node.type}."
            yield Problem("unknown_type", message, field="type", node=node.id, params={"type": node.type})
            continue
        yield from _body(node, catalogue[node.type])
        yield from _join(node, incoming[node.id])
        yield from _own_ports(node, catalogue[node.type])
        yield from _on_error(node, catalogue[node.type].ports, node.id in error_edges)


def _body(node: Node, info: StepInfo) -> Iterator[Problem]:
    if info.body is None and node.body is not None:
        message = f"{node.id} holds steps, but a {node.type} has none inside."
        yield Problem("unexpected_body", message, field="body", node=node.id)
    elif info.body == "workflow" and node.body is None:
        name = str(node.params.get("workflow") or "")
        message = f"There is no published workflow called {name} to run here." if name else "No workflow is chosen."
        yield Problem("no_workflow", message, field="params.workflow", node=node.id, params={"name": name})
    elif info.body is not None and node.body is None:
        yield Problem("empty_body", f"{node.id} has no steps inside.", field="body", node=node.id)


def _join(node: Node, incoming: int) -> Iterator[Problem]:
    if isinstance(node.join, int) and node.join > max(incoming, 1):
        message = f"{node.id} waits for {node.join} branches, but only {incoming} lead to it."
        params = {"join": node.join, "incoming": incoming}
        yield Problem("bad_join", message, field="join", node=node.id, params=params)


def _own_ports(node: Node, info: StepInfo) -> Iterator[Problem]:
    """Ways out that the node names itself: each has a name of its own that an edge can carry."""
    if info.ports_from is None:
        return
    names = case_names(node.params.get(info.ports_from))
    for place, name in enumerate(names):
        field = f"params.{info.ports_from}.{place}.name"
        if not _PORT.fullmatch(name):
            message = f"{name!r} cannot name a way out; use lower-case letters, digits and underscores."
            yield Problem("bad_port_name", message, field=field, node=node.id, params={"port": name})
        elif name in names[:place] or name in (*info.ports, ERROR_PORT):
            message = f"There is a way out called {name} already."
            yield Problem("duplicate_port", message, field=field, node=node.id, params={"port": name})


def _on_error(node: Node, ports: tuple[str, ...], has_error_edge: bool) -> Iterator[Problem]:
    if node.on_error == "branch" and not has_error_edge:
        message = f"{node.id} branches on errors, but nothing is connected to its error port."
        yield Problem("no_error_branch", message, field="on_error", node=node.id)
    if node.on_error == "continue" and ports[0] != DEFAULT_PORT:
        message = f"{node.id} cannot go on after an error: which way to take would be a guess. Stop or branch instead."
        yield Problem("cannot_continue", message, field="on_error", node=node.id, params={"ports": list(ports)})


def _edges(document: Document, known: dict[str, Node], catalogue: Catalogue) -> Iterator[Problem]:
    counted = Counter((edge.source, edge.port, edge.target) for edge in document.edges)
    for (source, port, target), times in counted.items():
        place = f"{source}->{target}"
        for end, field in ((source, "source"), (target, "target")):
            if end not in known:
                message = f"The edge {place} names {end}, but there is no such step."
                yield Problem("unknown_node", message, field=field, edge=place, params={"node": end})
        if times > 1:
            message = f"{source} is connected to {target} by {port} more than once."
            yield Problem("duplicate_edge", message, field="edges", edge=place, node=source)
        if source in known:
            yield from _port(known[source], Edge(source=source, target=target, port=port), catalogue)


def _port(node: Node, edge: Edge, catalogue: Catalogue) -> Iterator[Problem]:
    info = catalogue.get(node.type)
    ports = info.ports_with(node.params) if info else ()
    if info is None or edge.port in ports or (edge.port == ERROR_PORT and node.on_error == "branch"):
        return
    place = f"{edge.source}->{edge.target}"
    params = {"port": edge.port, "ports": list(ports)}
    if edge.port == ERROR_PORT:
        message = f"{node.id} has an error branch, but its on_error is {node.on_error}; set it to branch."
        yield Problem("error_port_unused", message, field="on_error", node=node.id, edge=place, params=params)
        return
    message = f"{node.id} has no way out called {edge.port}; it has {', '.join(ports)}."
    yield Problem("bad_port", message, field="port", node=node.id, edge=place, params=params)


def _cycles(document: Document) -> Iterator[Problem]:
    graph = bare_graph(document)
    for members in _in_drawn_order(document, nx.strongly_connected_components(graph)):
        first = members[0]
        if len(members) == 1 and not graph.has_edge(first, first):
            continue
        path = [source for source, _ in nx.find_cycle(graph.subgraph(members), first)]
        message = f"These steps wait for each other: {' → '.join([*path, path[0]])}."
        yield Problem("cycle", message, field="edges", node=path[0], params={"nodes": path})


def _unconnected(document: Document) -> Iterator[Problem]:
    """Steps apart from the rest. The largest connected part is taken for the workflow, the first drawn among equals."""
    parts = _in_drawn_order(document, nx.weakly_connected_components(bare_graph(document)))
    main = max(parts, key=len, default=[])
    for part in parts:
        for name in part if part is not main else ():
            message = f"{name} cannot be reached: nothing connects it to the rest of the workflow."
            yield Problem("unreachable", message, field="edges", node=name)


def _in_drawn_order(document: Document, groups: Iterable[Iterable[str]]) -> list[list[str]]:
    drawn: dict[str, int] = {}
    for place, node in enumerate(document.nodes):
        drawn.setdefault(node.id, place)
    ordered = [sorted(group, key=drawn.__getitem__) for group in groups]
    return sorted(ordered, key=lambda group: drawn[group[0]])
