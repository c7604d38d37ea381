"""Which steps of a run an undo takes back, and in what order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from app.engine.core.document import Document, Edge
from app.engine.core.graph import Graph, GraphNode, build
from app.engine.core.state import RunState


def undo_graph(state: RunState) -> Graph:
    """A chain of the steps that changed something and can be taken back, last completed first, under the same ids.

    The runner plans and performs each step's undo instead of the step. An empty graph: there is nothing to undo.
    """
    graph = state.graph
    order = [node for node in _effects(graph, state) if _can_undo(node, state)]
    return build(_chain(graph.document, order), {node.id: node.info for node in order})


def effects(state: RunState) -> list[str]:
    """Steps that changed something, first completed first."""
    return [node.id for node in reversed(_effects(state.graph, state))]


def not_undoable(state: RunState) -> list[str]:
    """Steps whose effect stays: irreversible ones, last completed first, then those whose outcome nobody knows."""
    done = [node.id for node in _effects(state.graph, state) if not _can_undo(node, state)]
    return done + [name for name, node in state.nodes.items() if node.state == "unknown"]


def _effects(graph: Graph, state: RunState) -> list[GraphNode]:
    """Steps that changed something, last completed first."""
    found = [node for node in graph.by_index if _changed(state, node)]
    return sorted(found, key=lambda node: state.states[node.index].done, reverse=True)


def _changed(state: RunState, node: GraphNode) -> bool:
    now = state.states[node.index]
    return node.info.writes and now.state == "succeeded" and now.change is not None and now.change.get("kind") != "none"


def _can_undo(node: GraphNode, state: RunState) -> bool:
    change = state.states[node.index].change or {}
    return node.info.reversible and change.get("reversible", True) is not False


def _chain(document: Document, order: Sequence[GraphNode]) -> Document:
    # Under their full names, which no drawn step could have: nobody reads this document but the engine.
    plain = {"on_error": "stop", "join": "all", "disabled": False}
    nodes = tuple(node.node.model_copy(update={**plain, "id": node.id}) for node in order)
    edges = tuple(Edge.model_construct(source=a.id, target=b.id, port=a.info.ports[0]) for a, b in pairwise(order))
    return document.model_copy(update={"nodes": nodes, "edges": edges})
