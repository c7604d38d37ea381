"""The same text is the same document, compiled once; what is not asked for any more is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import Invalid
from app.engine.core.document import parse_document
from app.engine.runtime import compiled
from app.engine.runtime.compiled import graph_of, parsed


def drawn(name: str, nodes: int = 1) -> dict[str, Any]:
    steps = [{"id": f"n{n}", "type": "flow.noop"} for n in range(nodes)]
    return {"schema": "opsloom/workflow@1", "name": name, "nodes": steps}


def test_the_same_text_is_parsed_and_compiled_once() -> None:
    one, other = parsed(drawn("same")), parsed(drawn("same"))
    assert one is other
    assert graph_of(one) is graph_of(other)
    assert one == parse_document(drawn("same"))


def test_what_runs_share_is_not_written_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = drawn("shared")
    one = parsed(raw)
    monkeypatch.delattr(compiled, "_encode")
    assert parsed(raw) is one


def test_another_name_is_another_document_though_the_same_is_executed() -> None:
    one, other = parsed(drawn("a")), parsed(drawn("b"))
    assert (one.name, other.name) == ("a", "b")
    assert graph_of(one).document is one
    assert graph_of(other).document is other


def test_a_document_from_elsewhere_is_compiled_too() -> None:
    document = parse_document(drawn("elsewhere"))
    assert graph_of(document).document is document


def test_what_is_wrong_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(Invalid):
            parsed({"schema": "none"})
        with pytest.raises(Invalid):
            graph_of(parsed({**drawn("unknown"), "nodes": [{"id": "a", "type": "no.such_step"}]}))


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_MOST", 50_000)
    first = parsed(drawn("first"))
    for n in range(100):
        parsed(drawn(f"more {n}"))
    assert len(compiled._kept) == len(compiled._by_document) <= 13
    assert parsed(drawn("first")) is not first
