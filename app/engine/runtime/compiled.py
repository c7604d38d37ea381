"""Documents that are read again and again, parsed and compiled once: what is the same text is the same document.

Nothing in a document or its graph is ever changed, so runs share them, whichever client they belong to.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from app.engine.core.document import Document, parse_document
from app.engine.core.graph import Graph, compile_graph
from app.engine.steps.registry import catalogue

# What is kept, as the length of its JSON: some thirty workflows of a thousand steps, or a thousand small ones.
_MOST = 4_000_000
_AT_LEAST = 4_000  # what a small one takes up beside its JSON
_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass
class _Kept:
    document: Document
    size: int
    graph: Graph | None = None


_kept: OrderedDict[bytes, _Kept] = OrderedDict()
_by_document: dict[int, _Kept] = {}
# Runs that are loaded together share the object, and need not ask what text it is.
_latest: tuple[Any, Document] | None = None


def parsed(raw: Any) -> Document:
    """The document that ``raw`` (an object of JSON, which nobody changes) is. Raises Invalid."""
    global _latest
    if _latest and _latest[0] is raw:
        return _latest[1]
    text = _encode(raw).encode("utf-8", "surrogatepass")
    key = hashlib.sha256(text).digest()
    found = _kept.get(key)
    if found is None:
        found = _kept[key] = _Kept(parse_document(raw), len(text) + _AT_LEAST)
        _by_document[id(found.document)] = found
        _forget_oldest()
    _kept.move_to_end(key)
    _latest = raw, found.document
    return found.document


def graph_of(document: Document) -> Graph:
    """The document's graph, compiled once where it came from :func:`parsed`. Raises Invalid."""
    found = _by_document.get(id(document))
    if found is None or found.document is not document:
        return compile_graph(document, catalogue())
    if found.graph is None:
        found.graph = compile_graph(document, catalogue())
    return found.graph


def _forget_oldest() -> None:
    total = sum(each.size for each in _kept.values())
    while total > _MOST and len(_kept) > 1:
        _, gone = _kept.popitem(last=False)
        del _by_document[id(gone.document)]
        total -= gone.size
