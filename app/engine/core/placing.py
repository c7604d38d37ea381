"""Places on the canvas for a document that says none: one made by a program, or by hand."""

from __future__ import annotations

import networkx as nx  # type: ignore[import-untyped, unused-ignore]

from app.engine.core.document import Document, Position
from app.engine.core.structure import bare_graph

# As far apart as the builder puts steps that are added one after the other.
COLUMN, ROW = 320, 112


def placed(document: Document) -> Document:
    """The document with its steps from left to right, or as it is where any of them has a place."""
    if any(node.position for node in document.nodes):
        return document
    column = _columns(document)
    rows: dict[int, int] = {}
    nodes = []
    for node in document.nodes:
        x = column[node.id]
        y = rows[x] = rows.get(x, -1) + 1
        nodes.append(node.model_copy(update={"position": Position(x=x * COLUMN, y=y * ROW)}))
    return document.model_copy(update={"nodes": type(document.nodes)(nodes)})


def _columns(document: Document) -> dict[str, int]:
    """How many steps come before each; where steps wait for each other, the order in which they are written."""
    graph = bare_graph(document)
    if not nx.is_directed_acyclic_graph(graph):
        return {node.id: index for index, node in enumerate(document.nodes)}
    return {name: index for index, names in enumerate(nx.topological_generations(graph)) for name in names}
