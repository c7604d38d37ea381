"""A document and its step types, worked out once: who comes before whom, by which port, and in what order.

A step with a body (a loop, a sub-workflow) holds the body's graph. When the step starts, the body is laid out: its
steps become steps of the run, under names like ``each[3].create``, and everything that knows steps knows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import networkx as nx  # type: ignore[import-untyped, unused-ignore]

from app.core.errors import Invalid
from app.engine.core.catalogue import BodyKind, Catalogue, StepInfo
from app.engine.core.document import ERROR_PORT, Document, Edge, Node, content_hash, parse_document
from app.engine.core.structure import all_structure_problems, bare_graph


@dataclass(frozen=True)
class GraphNode:
    """A node in its place. ``index`` is its place in topological order; ``out`` gives the targets' places by port;
    ``incoming`` are the edges that lead here; ``needed`` is how many of them must be done before it may start.

    ``body`` is what is drawn inside the node. A step of a body that was laid out has its full name in ``path`` and the
    number of its layout in ``layout`` (-1: a step of the workflow itself).
    """

    index: int
    node: Node
    info: StepInfo
    ports: tuple[str, ...]
    incoming: tuple[Edge, ...]
    out: Mapping[str, tuple[int, ...]]
    needed: int
    body: Graph | None = field(default=None, repr=False)
    path: str = ""
    layout: int = -1

    @property
    def id(self) -> str:
        return self.path or self.node.id

    @property
    def timeout_s(self) -> float:
        return self.node.timeout_s or self.info.timeout_s


@dataclass(frozen=True, slots=True)
class Layout:
    """A body laid out for ``count`` iterations of ``size`` steps each, beginning at place ``base``.

    ``owner`` is the place of the step that holds the body, ``first`` the number of the first iteration. ``unknown``: a
    plan cannot tell how many there will be; one iteration called ``?`` stands for them.
    """

    number: int
    owner: int
    kind: BodyKind
    base: int
    size: int
    count: int
    first: int = 0
    unknown: bool = False

    def iteration(self, place: int) -> int:
        """Which iteration (from 0) the step at ``place`` belongs to."""
        return (place - self.base) // self.size

    def places(self, iteration: int) -> range:
        start = self.base + iteration * self.size
        return range(start, start + self.size)

    def label(self, iteration: int) -> str:
        return "?" if self.unknown else str(self.first + iteration)


@dataclass(frozen=True, eq=False)
class Graph:
    """A compiled workflow. ``order`` is topological and stable: it follows the document where the edges allow it; what
    was laid out comes after it. ``before`` speaks of the document's own steps."""

    document: Document = field(repr=False)
    nodes: Mapping[str, GraphNode] = field(repr=False)
    order: tuple[str, ...]
    by_index: tuple[GraphNode, ...] = field(repr=False)
    before: tuple[int, ...] = field(repr=False)  # by place: the bits of every node upstream of it
    layouts: tuple[Layout, ...] = ()

    @cached_property
    def document_hash(self) -> str:
        return content_hash(self.document)

    @property
    def roots(self) -> tuple[str, ...]:
        return tuple(node.id for node in self.by_index if not node.incoming)

    def frames(self, place: int) -> list[tuple[Layout, int]]:
        """The bodies around a step with their iterations, innermost first."""
        found = []
        number = self.by_index[place].layout
        while number >= 0:
            layout = self.layouts[number]
            found.append((layout, layout.iteration(place)))
            place = layout.owner
            number = self.by_index[place].layout
        return found

    def prefix(self, layout: Layout, iteration: int) -> str:
        """What the names of an iteration's steps begin with."""
        return f"{self.order[layout.owner]}[{layout.label(iteration)}]."

    def laid_out(self, owner: int, count: int, first: int = 0, *, unknown: bool = False) -> Graph:
        """This graph with the body of the step at ``owner`` laid out for ``count`` iterations."""
        holder = self.by_index[owner]
        if holder.body is None or holder.info.body is None:
            raise ValueError(f"{holder.id} has no body")
        inner = holder.body
        number, base = len(self.layouts), len(self.order)
        layout = Layout(number, owner, holder.info.body, base, len(inner.order), count, first, unknown)
        fresh = [
            _inside(node, layout.places(k).start, f"{holder.id}[{layout.label(k)}].{node.node.id}", number)
            for k in range(count)
            for node in inner.by_index
        ]
        nodes = {**self.nodes, **{node.path: node for node in fresh}}
        order = (*self.order, *(node.path for node in fresh))
        return Graph(self.document, nodes, order, (*self.by_index, *fresh), self.before, (*self.layouts, layout))

    def is_upstream(self, earlier: str, later: str) -> bool:
        """Whether a path leads from ``earlier`` to ``later``."""
        return bool(self.before[self.nodes[later].index] >> self.nodes[earlier].index & 1)

    def upstream(self, node: str) -> tuple[str, ...]:
        """Every node before ``node``, in order."""
        bits = self.before[self.nodes[node].index]
        return tuple(name for place, name in enumerate(self.order) if bits >> place & 1)


def compile_graph(document: Document, catalogue: Catalogue) -> Graph:
    """The graph of ``document``. Raises Invalid with every structural problem.

    Parameters and expressions are not looked at: :func:`app.engine.core.validation.validate` does that before a version
    is saved or run.
    """
    problems = all_structure_problems(document, catalogue)
    if problems:
        raise Invalid("The workflow cannot run as it is drawn.", problems=problems)
    return _built(document, catalogue)


def _built(document: Document, catalogue: Catalogue) -> Graph:
    bodies = {node.id: _built(parse_document(node.body), catalogue) for node in document.nodes if node.body is not None}
    return build(document, {node.id: catalogue[node.type] for node in document.nodes}, bodies)


def build(document: Document, infos: Mapping[str, StepInfo], bodies: Mapping[str, Graph] | None = None) -> Graph:
    """The graph of a document whose structure is known to be right."""
    inner = bodies or {}
    order = _topological(document)
    place = {name: index for index, name in enumerate(order)}
    by_id = {node.id: node for node in document.nodes}
    incoming: dict[str, list[Edge]] = {name: [] for name in order}
    out: dict[str, dict[str, list[int]]] = {name: {} for name in order}
    for edge in document.edges:
        incoming[edge.target].append(edge)
        out[edge.source].setdefault(edge.port, []).append(place[edge.target])
    nodes = tuple(
        _graph_node(place[name], by_id[name], infos[name], incoming[name], out[name], inner.get(name)) for name in order
    )
    return Graph(document, {node.id: node for node in nodes}, order, nodes, _before(nodes, place))


def _inside(node: GraphNode, start: int, path: str, layout: int) -> GraphNode:
    """A body's step as a step of the run. Its edges stay those of the body: only their number counts."""
    out = {port: tuple(start + target for target in targets) for port, targets in node.out.items()}
    return replace(node, index=start + node.index, out=out, path=path, layout=layout)


def ports_of(node: Node, info: StepInfo) -> tuple[str, ...]:
    """The ways out of a node: its own and its type's, and ``error`` where the node branches on errors."""
    ports = info.ports_with(node.params)
    return (*ports, ERROR_PORT) if node.on_error == "branch" else ports


def _graph_node(
    index: int,
    node: Node,
    info: StepInfo,
    incoming: Sequence[Edge],
    out: Mapping[str, Sequence[int]],
    body: Graph | None,
) -> GraphNode:
    return GraphNode(
        index=index,
        node=node,
        info=info,
        ports=ports_of(node, info),
        incoming=tuple(incoming),
        out={port: tuple(targets) for port, targets in out.items()},
        needed=needed(node, len(incoming)),
        body=body,
    )


def needed(node: Node, incoming: int) -> int:
    """How many incoming edges must be done before the node may start."""
    if node.join == "all":
        return incoming
    return min(incoming, 1) if node.join == "any" else min(incoming, node.join)


def _topological(document: Document) -> tuple[str, ...]:
    drawn = {node.id: place for place, node in enumerate(document.nodes)}
    return tuple(nx.lexicographical_topological_sort(bare_graph(document), key=drawn.__getitem__))


def _before(nodes: Sequence[GraphNode], place: Mapping[str, int]) -> tuple[int, ...]:
    """For each node the set of all nodes upstream, as the bits of an integer (10,000 nodes then take 12 MB)."""
    found: list[int] = []
    for node in nodes:
        bits = 0
        for edge in node.incoming:
            source = place[edge.source]
            bits |= found[source] | 1 << source
        found.append(bits)
    return tuple(found)
