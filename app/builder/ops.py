"""Edits of a workflow document as small operations, applied without side effects.

An operation is ``{"id", "set": [[path, value], ...]}``: each pair says what should stand at a path afterwards, ``None``
that nothing should. Nodes and edges are addressed by their key (``["nodes", "create", "params", "email"]``,
``["edges", "create|next|ask"]``), never by their place in a list, so an operation means the same after somebody else's
edit, and applying it twice changes nothing more. The browser applies the same operations to what it shows
(``js/document.js``); a shared table of cases keeps the two in step.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.core.errors import Invalid, Problem

Json = dict[str, Any]
Path = tuple[str, ...]

MAX_SETS = 25_000
MAX_DEPTH = 12
MAX_PART = 400
MAX_BYTES = 2_000_000

# What may be addressed, and with how many parts.
_DEPTHS = {
    "nodes": (2, MAX_DEPTH),
    "edges": (2, 2),
    "inputs": (1, MAX_DEPTH),
    "name": (1, 1),
    "description": (1, 1),
    "concurrency": (1, 2),
    "on_failure": (1, 1),
    "on_cancel": (1, 1),
    "error_handler": (1, 2),
}


def edge_key(edge: Mapping[str, Any]) -> str:
    """The key of an edge: a port leads to a node at most once."""
    return f"{edge['source']}|{edge.get('port') or 'next'}|{edge['target']}"


def apply(document: Mapping[str, Any], op: Mapping[str, Any]) -> Json:
    """``document`` after ``op``. Raises :class:`Invalid`, naming the path, where the operation makes no sense."""
    return apply_all(document, [op])


def apply_all(document: Mapping[str, Any], ops: Iterable[Mapping[str, Any]]) -> Json:
    """``document`` after ``ops`` in their order: all of them, or an error and none."""
    keyed = _keyed(document)
    for op in ops:
        for path, value in _pairs(op):
            # A place inside a node that somebody else deleted is gone with it.
            if path[0] != "nodes" or len(path) == 2 or path[1] in keyed["nodes"]:
                keyed = _put(keyed, path, value)
    return _listed(keyed)


def check_size(ops: Sequence[Any]) -> None:
    """Refuse a batch that is larger (in bytes of JSON) than a person's edit can be."""
    if len(json.dumps(ops)) > MAX_BYTES:
        raise _refusal("ops.too_large", "This edit is too large.", "ops")


def _keyed(document: Mapping[str, Any]) -> Json:
    nodes = {node["id"]: node for node in document.get("nodes") or []}
    edges = {edge_key(edge): edge for edge in document.get("edges") or []}
    return {**document, "nodes": nodes, "edges": edges}


def _listed(keyed: Json) -> Json:
    nodes = keyed["nodes"]
    # An edge cannot outlive a node: two people may have deleted the one and drawn the other.
    edges = [edge for edge in keyed["edges"].values() if edge["source"] in nodes and edge["target"] in nodes]
    return {**keyed, "nodes": list(nodes.values()), "edges": edges}


def _pairs(op: Any) -> Iterator[tuple[Path, Any]]:
    pairs = op.get("set") if isinstance(op, Mapping) else None
    if not isinstance(pairs, list) or len(pairs) > MAX_SETS:
        raise _refusal("ops.shape", "An operation holds a list of path and value pairs.", "set")
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise _refusal("ops.shape", "An operation holds a list of path and value pairs.", "set")
        path = _checked_path(pair[0])
        _check_key(path, pair[1])
        yield path, pair[1]


def _checked_path(path: Any) -> Path:
    parts = list(path) if isinstance(path, list | tuple) else []
    well_formed = parts and all(isinstance(part, str) and 0 < len(part) <= MAX_PART for part in parts)
    low, high = _DEPTHS.get(parts[0], (1, 0)) if well_formed else (1, 0)
    if not low <= len(parts) <= high or (parts[0] == "nodes" and parts[2:] == ["id"]):
        shown = (".".join(map(str, parts)) or str(path))[:MAX_PART]
        raise _refusal("ops.path", f"There is no place “{shown}” in a workflow that could be set.", shown)
    return tuple(parts)


def _check_key(path: Path, value: Any) -> None:
    """A whole node or edge must be what its key says, or it could be addressed by two keys."""
    if value is None or len(path) != 2 or path[0] not in ("nodes", "edges"):
        return
    if not isinstance(value, Mapping) or _own_key(path[0], value) != path[1]:
        raise _refusal("ops.key", f"What is put at “{path[1]}” is not that {path[0][:-1]}.", ".".join(path))


def _own_key(kind: str, value: Mapping[str, Any]) -> str | None:
    if kind == "nodes":
        return value.get("id")
    ends = isinstance(value.get("source"), str) and isinstance(value.get("target"), str)
    return edge_key(value) if ends else None


def _put(target: Any, path: Path, value: Any) -> Any:
    """A copy of ``target`` with ``value`` at ``path``; only the mappings along the path are copied."""
    head, rest = path[0], path[1:]
    inner = dict(target) if isinstance(target, Mapping) else {}
    if value is None and (not rest or head not in inner):
        inner.pop(head, None)
    else:
        inner[head] = _put(inner.get(head), rest, value) if rest else value
    return inner


def _refusal(code: str, message: str, field: str) -> Invalid:
    return Invalid(message, problems=[Problem(code=code, message=message, field=field)])
