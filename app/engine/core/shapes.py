"""JSON schemas as far as types go: what kind of value, with which fields, or of which items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Kind = Literal["string", "integer", "number", "boolean", "object", "array", "null", "any"]
Schema = Mapping[str, Any]
_KINDS = frozenset({"string", "integer", "number", "boolean", "object", "array", "null"})
_MAX_REFS = 32


@dataclass(frozen=True)
class Shape:
    """A schema with its references followed. ``root`` is the schema that holds the ``$defs``; ``ref`` the last
    reference followed, which names recursive schemas. ``options`` are the alternatives of a union ("any" kind)."""

    kind: Kind
    schema: Schema
    root: Schema = field(repr=False)
    nullable: bool = False
    ref: str | None = None
    options: tuple[Shape, ...] = ()

    @cached_property
    def fields(self) -> dict[str, Shape]:
        """An object's declared fields; one that may be left out and has no default may be null."""
        required = set(self.schema.get("required") or ())
        found = {}
        for name, inner in (self.schema.get("properties") or {}).items():
            inner_shape = shape(inner, self.root)
            optional = name not in required and not (isinstance(inner, Mapping) and "default" in inner)
            found[str(name)] = inner_shape.or_null() if optional else inner_shape
        return found

    @property
    def closed(self) -> bool:
        """Whether the object has the declared fields and no others."""
        extra = self.schema.get("additionalProperties")
        return extra is False or ("properties" in self.schema and not extra)

    @property
    def items(self) -> Shape:
        """What an array holds."""
        return shape(self.schema.get("items", {}), self.root)

    @property
    def values(self) -> Shape:
        """What an object's undeclared fields hold."""
        extra = self.schema.get("additionalProperties", {})
        return shape(extra if isinstance(extra, Mapping) else {}, self.root)

    @property
    def title(self) -> Mapping[str, str] | None:
        """The words of a field in each language, where its step type gives them."""
        found = self.schema.get("x-title")
        return found if isinstance(found, Mapping) else None

    def or_null(self) -> Shape:
        return Shape(self.kind, self.schema, self.root, True, self.ref, self.options)


def shape(schema: Any, root: Schema | None = None) -> Shape:
    """The shape of ``schema``; what cannot be made out is "any"."""
    if not isinstance(schema, Mapping):
        return Shape("any", {}, root or {})
    root = schema if root is None else root
    schema, ref = _followed(schema, root)
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return _union([shape(option, root) for option in options], schema, root)
    kinds = schema.get("type")
    if isinstance(kinds, list):
        nullable = "null" in kinds
        rest = [kind for kind in kinds if kind != "null"]
        found = [Shape(kind, schema, root) for kind in rest if kind in _KINDS]
        return _union([*found, *([Shape("null", {}, root)] if nullable else [])], schema, root)
    kind: Any = kinds if kinds in _KINDS else _guessed(schema)
    return Shape(kind, schema, root, nullable=kind == "null", ref=ref)


def locate(found: Shape, path: tuple[str, ...]) -> tuple[Shape, int]:
    """The shape at the end of ``path``, and how many of its fields were found; fewer than all: the next one is not
    there."""
    for place, name in enumerate(path):
        if found.kind != "object":
            return (shape({}), len(path)) if found.kind in ("any", "array") else (found, place)
        inner = found.fields.get(name)
        if inner is None and found.closed:
            return found, place
        found = inner if inner is not None else found.values
    return found, len(path)


def _union(options: list[Shape], schema: Schema, root: Schema) -> Shape:
    nullable = any(option.nullable for option in options)
    solid = [option for option in options if option.kind != "null"]
    if len(solid) == 1:
        only = solid[0]
        # The words stand beside the union, not inside the option that is left.
        merged = {**only.schema, **{key: schema[key] for key in ("x-title", "x-help") if key in schema}}
        return Shape(only.kind, merged, root, nullable, only.ref, only.options)
    if len({option.kind for option in solid}) == 1 and solid[0].kind not in ("object", "array", "any"):
        return Shape(solid[0].kind, {"type": solid[0].kind}, root, nullable)
    return Shape("any", schema, root, nullable or not solid, options=tuple(solid))


def _followed(schema: Schema, root: Schema) -> tuple[Schema, str | None]:
    """``schema`` with its ``$ref`` (or single ``allOf``) followed, its own words kept."""
    ref = None
    for _ in range(_MAX_REFS):
        if isinstance(schema.get("$ref"), str):
            ref = schema["$ref"]
            target = _at(root, ref)
            schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        elif isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
            schema = {**schema["allOf"][0], **{key: value for key, value in schema.items() if key != "allOf"}}
        else:
            break
    return schema, ref


def _at(root: Schema, ref: str) -> Schema:
    found: Any = root
    for name in ref.removeprefix("#").strip("/").split("/") if ref.startswith("#") else ["?"]:
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) and name else found
    return found if isinstance(found, Mapping) else {}


def _guessed(schema: Schema) -> Kind:
    """The kind of a schema that does not name it."""
    if "properties" in schema:
        return "object"
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    kinds = {_kind_of(value) for value in values}
    return kinds.pop() if len(kinds) == 1 else "any"


def _kind_of(value: Any) -> Kind:
    for kind, types in _PYTHON:
        if isinstance(value, types):
            return kind
    return "any"


_PYTHON: tuple[tuple[Kind, type | tuple[type, ...]], ...] = (
    ("boolean", bool),
    ("string", str),
    ("integer", int),
    ("number", float),
    ("array", (list, tuple)),
    ("object", Mapping),
    ("null", type(None)),
)


def shape_of_value(value: Any) -> Shape:
    """The shape of a value that is already known (a client's variables)."""
    return shape(_schema_of(value))


def _schema_of(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {
            "type": "object",
            "properties": {str(key): _schema_of(item) for key, item in value.items()},
            "required": [str(key) for key in value],
        }
    kind = _kind_of(value)
    return {} if kind in ("any", "null") else {"type": kind}
