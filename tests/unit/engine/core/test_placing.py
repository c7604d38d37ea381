"""Steps of a document without places stand beside each other."""

from __future__ import annotations

from typing import Any

from app.engine.core.document import Document, content_hash, parse_document
from app.engine.core.placing import COLUMN, ROW, placed


def drawn(edges: list[tuple[str, str]], **places: dict[str, int]) -> Document:
    names = sorted({name for edge in edges for name in edge})
    nodes: list[dict[str, Any]] = [{"id": name, "type": "flow.noop", "position": places.get(name)} for name in names]
    wires = [{"source": source, "target": target} for source, target in edges]
    return parse_document({"schema": "opsloom/workflow@1", "name": "n", "nodes": nodes, "edges": wires})


def at(document: Document) -> dict[str, tuple[float, float] | None]:
    return {node.id: (node.position.x, node.position.y) if node.position else None for node in document.nodes}


def test_from_left_to_right_with_branches_below_each_other() -> None:
    found = at(placed(drawn([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])))
    assert found == {"a": (0, 0), "b": (COLUMN, 0), "c": (COLUMN, ROW), "d": (2 * COLUMN, 0)}


def test_steps_that_wait_for_each_other_stand_apart_too() -> None:
    assert at(placed(drawn([("a", "b"), ("b", "a")]))) == {"a": (0, 0), "b": (COLUMN, 0)}


def test_what_has_places_keeps_them() -> None:
    document = drawn([("a", "b")], a={"x": 5, "y": 7})
    assert placed(document) is document


def test_what_runs_stays_the_same() -> None:
    document = drawn([("a", "b")])
    assert content_hash(placed(document)) == content_hash(document)
