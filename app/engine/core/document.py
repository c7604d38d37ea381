"""The workflow document: what is drawn, stored and hashed (``opsloom/workflow@1``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from app.core.canonical import dumps
from app.core.errors import Invalid, Problem
from app.core.storable import REFUSED, unstorable

SCHEMA: Literal["opsloom/workflow@1"] = "opsloom/workflow@1"
DEFAULT_PORT = "next"
ERROR_PORT = "error"
MAX_DOCUMENT_BYTES = 5_000_000
MAX_DEPTH = 64
MAX_INTEGER = 2**53
MAX_NODES = 10_000
MAX_EDGES = 50_000

NodeId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Port = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
OnError = Literal["stop", "continue", "branch"]
AtEnd = Literal["stop", "compensate"]
Remedy = Literal["Retryable", "Throttled", "AuthFailed", "NotFound", "Conflict", "Rejected"]


class _Part(BaseModel):
    """Base of the document's parts: frozen, and unknown names are refused so that a misspelt one is found."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Retry(_Part):
    """How often a step is tried and how long to wait between two tries. Times are in seconds.

    ``on`` says after which failures: by what would mend them. A write whose answer was lost is never tried blindly.
    """

    attempts: int = Field(default=1, ge=1, le=50)
    backoff: Literal["fixed", "exponential"] = "exponential"
    delay_s: float = Field(default=2.0, ge=0, le=86_400)
    max_delay_s: float = Field(default=300.0, ge=0, le=86_400)
    jitter: bool = True
    on: tuple[Remedy, ...] = Field(default=("Retryable", "Throttled"), min_length=1, max_length=6)


class Position(_Part):
    """Where a node stands on the canvas, in canvas units."""

    x: float = 0.0
    y: float = 0.0


class Node(_Part):
    """One step as drawn. ``params`` are static values or ``{{ expression }}`` templates."""

    id: NodeId
    type: str = Field(min_length=1, max_length=128)
    name: str = Field(default="", max_length=200)
    connection: str | None = Field(default=None, max_length=64)
    params: dict[str, Any] = Field(default_factory=dict)
    position: Position | None = None
    retry: Retry | None = None
    timeout_s: float | None = Field(default=None, gt=0, le=2_592_000)
    on_error: OnError = "stop"
    join: Literal["all", "any"] | Annotated[int, Field(ge=1, le=MAX_EDGES)] = "all"
    notes: str = Field(default="", max_length=10_000)
    colour: str | None = Field(default=None, max_length=32)
    disabled: bool = False
    body: dict[str, Any] | None = None


class Edge(_Part):
    """An arrow from one node's port to another node."""

    source: NodeId
    target: NodeId
    port: Port = DEFAULT_PORT


class Sticky(_Part):
    """A note on the canvas. It has no part in what runs."""

    id: str = Field(max_length=64)
    text: str = Field(default="", max_length=10_000)
    position: Position = Position()
    width: float = 240.0
    height: float = 160.0
    colour: str | None = Field(default=None, max_length=32)


class Concurrency(_Part):
    """How many runs of one client may go on at a time for one ``key``, a template over inputs and client.

    What comes when all slots are taken waits (``queue``), is not run (``skip``), or has the others cancelled
    (``replace``).
    """

    key: str = Field(min_length=1, max_length=1_000)
    policy: Literal["queue", "skip", "replace"] = "queue"
    limit: int = Field(default=1, ge=1, le=1_000)


class ErrorHandler(_Part):
    """The client's published workflow that is started when a run has failed."""

    workflow: str = Field(min_length=1, max_length=200)


class Document(_Part):
    """A whole workflow. ``inputs`` is a JSON schema of type object.

    ``on_failure`` and ``on_cancel`` say whether what a run did is taken back when it ends so.
    """

    schema_: Literal["opsloom/workflow@1"] = Field(default=SCHEMA, alias="schema")
    name: str = Field(default="", max_length=200)
    description: str = Field(default="", max_length=10_000)
    inputs: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    nodes: tuple[Node, ...] = Field(default=(), max_length=MAX_NODES)
    edges: tuple[Edge, ...] = Field(default=(), max_length=MAX_EDGES)
    stickies: tuple[Sticky, ...] = Field(default=(), max_length=1_000)
    concurrency: Concurrency | None = None
    on_failure: AtEnd = "stop"
    on_cancel: AtEnd = "stop"
    error_handler: ErrorHandler | None = None

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    def as_json(self) -> dict[str, Any]:
        """The document as it is stored: defaults are written out, so that it reads the same in later versions.

        What came later than the first documents is left out while it has its default.
        """
        found = self.model_dump(mode="json", by_alias=True)
        rules = _rules(self)
        lean = {name: value for name, value in found.items() if name not in _LATER or name in rules}
        return {**lean, "nodes": [_with_lean_retry(node) for node in found["nodes"]]}


def parse_document(raw: Any) -> Document:
    """A document from JSON text, bytes or the object they hold.

    Raises :class:`~app.core.errors.Invalid`, whose problems name node and field, when the shape is wrong. What the
    document means (steps, types, expressions) is checked by :func:`app.engine.core.graph.validate`.
    """
    if isinstance(raw, Document):
        return raw
    data = _loaded(raw)
    _refuse_huge(data)
    try:
        return Document.model_validate(data)
    except ValidationError as error:
        raise Invalid("The workflow document is not valid.", problems=list(_problems(data, error))) from None


def executable(document: Document) -> dict[str, Any]:
    """The part of a document that decides what runs: no positions, names, notes or colours; order does not matter."""
    nodes = [_executable_node(node) for node in sorted(document.nodes, key=lambda node: node.id)]
    edges = sorted((e.source, e.port, e.target) for e in document.edges)
    return {
        "schema": document.schema_,
        "inputs": document.inputs,
        "nodes": nodes,
        "edges": [{"source": source, "port": port, "target": target} for source, port, target in edges],
        **_rules(document),
    }


def content_hash(document: Document) -> str:
    """SHA-256 (hex) of the canonical JSON (RFC 8785) of what executes."""
    return hashlib.sha256(canonical(executable(document))).hexdigest()


def canonical(value: Any) -> bytes:
    """Canonical JSON (RFC 8785). Raises Invalid for what it cannot hold (NaN, integers beyond 2^53)."""
    try:
        return dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise Invalid(f"This value has no canonical JSON form: {error}.", code="not_canonical") from None


# Parts that are left out while they have their default, so that older documents keep their hash and their seals.
_LATER = ("concurrency", "on_failure", "on_cancel", "error_handler")
_RETRY_ON = list(Retry().on)


def _rules(document: Document) -> dict[str, Any]:
    """What a document says of the run as a whole, beyond the defaults."""
    return document.model_dump(mode="json", include=set(_LATER), exclude_defaults=True)


def _with_lean_retry(node: dict[str, Any]) -> dict[str, Any]:
    retry = node.get("retry")
    if retry is None or retry["on"] != _RETRY_ON:
        return node
    return {**node, "retry": {name: value for name, value in retry.items() if name != "on"}}


_NOT_EXECUTED = {"name", "position", "notes", "colour", "body"}


def _executable_node(node: Node) -> dict[str, Any]:
    found = _with_lean_retry(node.model_dump(mode="json", exclude=_NOT_EXECUTED))
    if node.body is not None:
        found["body"] = executable(parse_document(node.body))
    return found


def _loaded(raw: Any) -> Any:
    """The object in ``raw``. Its size is checked before it is read."""
    if not isinstance(raw, str | bytes | bytearray):
        return raw
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise _too_big()
    try:
        return json.loads(raw)
    except UnicodeDecodeError:
        raise Invalid("The workflow document is not UTF-8 text.", code="not_json") from None
    except json.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno}
        message = f"The workflow document is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        problem = Problem("not_json", message, field="", params={**place, "reason": error.msg})
        raise Invalid(message, code="not_json", problems=[problem], params=place) from None
    except RecursionError:
        raise _too_deep() from None


Excess = Literal["big", "deep", "number"]


def excess(data: Any, limit: int) -> Excess | None:
    """Why ``data`` cannot be taken as JSON: it would take more than about ``limit`` characters, is nested too deeply,
    or (where it is neither) holds a number that JSON cannot carry everywhere (NaN, infinity, integers beyond 2^53).
    None where it can.

    The walk stops at the limit, so an enormous value costs no more than a large one.
    """
    size = 0
    found: Excess | None = None
    layer: list[Any] = [data]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in layer:
            size += 2
            # The order is by how often each is met: an abstract class is asked last, as that takes longest.
            if isinstance(value, str):
                size += len(value)
            elif isinstance(value, int | float):
                if not -MAX_INTEGER <= value <= MAX_INTEGER:
                    found = "number"  # what else there is may be enormous all the same
            elif isinstance(value, list | tuple):
                below.extend(value)
            elif value is not None and isinstance(value, Mapping):
                size += 4 * len(value) + sum(map(len, map(str, value)))
                below.extend(value.values())
            if size > limit:
                return "big"
        layer = below
        if not layer:
            return found
    return "deep"


def _refuse_huge(data: Any) -> None:
    found = excess(data, MAX_DOCUMENT_BYTES)
    if found is not None:
        raise {"big": _too_big, "deep": _too_deep, "number": _bad_number}[found]()
    if (place := unstorable(data)) is not None:
        node, edge, rest = _owner(data, place.split("."))
        problem = Problem("not_storable", REFUSED, field=".".join(rest), node=node, edge=edge)
        raise Invalid(REFUSED, code="not_storable", problems=[problem])


def _too_big() -> Invalid:
    message = f"The workflow document is larger than {MAX_DOCUMENT_BYTES // 1_000_000} MB."
    problem = Problem("document_too_big", message, field="", params={"limit": MAX_DOCUMENT_BYTES})
    return Invalid(message, code="document_too_big", problems=[problem], params={"limit": MAX_DOCUMENT_BYTES})


def _too_deep() -> Invalid:
    message = f"The workflow document is nested more than {MAX_DEPTH} levels deep."
    problem = Problem("document_too_deep", message, field="", params={"limit": MAX_DEPTH})
    return Invalid(message, code="document_too_deep", problems=[problem], params={"limit": MAX_DEPTH})


def _bad_number() -> Invalid:
    message = "The workflow document holds a number that is not finite or too large; write it as a text."
    return Invalid(message, code="bad_number", problems=[Problem("bad_number", message, field="")])


def _problems(data: Any, error: ValidationError) -> Iterable[Problem]:
    """pydantic's errors as problems that name the node or edge by its id instead of its place in a list."""
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        path = _path(data, [str(part) for part in found["loc"]])
        node, edge, rest = _owner(data, path)
        code = "too_many_nodes" if found["type"] == "too_long" and path == ["nodes"] else f"document_{found['type']}"
        yield Problem(code, found["msg"], field=".".join(rest), node=node, edge=edge)


def _owner(data: Any, path: list[str]) -> tuple[str | None, str | None, list[str]]:
    if len(path) < 2 or not path[1].isdigit() or not isinstance(data, Mapping):
        return None, None, path
    owner = _item(data.get(path[0]), int(path[1]))
    if path[0] == "nodes" and isinstance(owner.get("id"), str):
        return owner["id"], None, path[2:]
    if path[0] == "edges" and {"source", "target"} <= owner.keys():
        return None, f"{owner['source']}->{owner['target']}", path[2:]
    return None, None, path


def _path(data: Any, location: list[str]) -> list[str]:
    """pydantic's location without the names of union members that it adds where a value has no fields."""
    path: list[str] = []
    for part in location:
        if not isinstance(data, Mapping | list | tuple):
            break
        path.append(part)
        data = data.get(part) if isinstance(data, Mapping) else _at(data, part)
    return path


def _at(values: list[Any] | tuple[Any, ...], place: str) -> Any:
    return values[int(place)] if place.isdigit() and int(place) < len(values) else None


def _item(values: Any, place: int) -> Mapping[str, Any]:
    found = values[place] if isinstance(values, list | tuple) and place < len(values) else None
    return found if isinstance(found, Mapping) else {}
