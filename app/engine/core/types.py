"""JSON schemas as CEL types.

CEL checks the fields of protocol buffer messages, so every object schema becomes a message made on the spot: a field
that is not there, or a text used as a number, is then found while drawing. At run time the values are plain JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped, unused-ignore]
from google.protobuf import (  # type: ignore[import-untyped, unused-ignore]
    descriptor_pb2,
    descriptor_pool,
    struct_pb2,
    wrappers_pb2,
)

from app.engine.core.environment import new_environment
from app.engine.core.shapes import Kind, Shape

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "opsloom"
_ANY = ".google.protobuf.Value"
_STRUCT = ".google.protobuf.Struct"
_MAX_FIELDS = 2_000
_SCALARS: dict[Kind, tuple[int, str]] = {
    "string": (_Field.TYPE_STRING, ".google.protobuf.StringValue"),
    "integer": (_Field.TYPE_INT64, ".google.protobuf.Int64Value"),
    "number": (_Field.TYPE_DOUBLE, ".google.protobuf.DoubleValue"),
    "boolean": (_Field.TYPE_BOOL, ".google.protobuf.BoolValue"),
}
_IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


class Declarations:
    """The types of everything that a document's expressions may refer to."""

    def __init__(self) -> None:
        self._file = descriptor_pb2.FileDescriptorProto(
            name=f"{_PACKAGE}/workflow.proto",
            package=_PACKAGE,
            syntax="proto3",
            dependency=["google/protobuf/struct.proto", "google/protobuf/wrappers.proto"],
        )
        self._named: dict[tuple[int, str], str] = {}
        self._kept: list[Shape] = []  # the keys above are identities, so what they identify must stay
        self._variables: dict[str, Any] = {}

    def root(self, name: str, found: Shape) -> None:
        """Declare the root ``name``."""
        self._variables[name] = self._type(found)

    def steps(self, outputs: Mapping[str, Shape]) -> None:
        """Declare ``steps.<id>.output`` for each step."""
        for step, output in outputs.items():
            self._variables[f"steps.{step}.output"] = self._type(output)

    def anything(self, name: str) -> None:
        """Declare a root of any type (a loop's item)."""
        self._variables[name] = cel.Type.DYN

    def environment(self) -> Any:
        """The environment that checks expressions against these declarations."""
        pool = descriptor_pool.DescriptorPool()
        for module in (struct_pb2, wrappers_pb2):
            copied = descriptor_pb2.FileDescriptorProto()
            module.DESCRIPTOR.CopyToProto(copied)
            pool.Add(copied)
        pool.Add(self._file)
        return new_environment(self._variables, pool)

    def _type(self, found: Shape) -> Any:
        if found.kind != "object":
            return cel.Type.DYN
        return cel.Type(self._message(found)[1:]) if _declared(found) else cel.Type.Map(cel.Type.STRING, cel.Type.DYN)

    def _message(self, found: Shape) -> str:
        """The full name of an object's message. It is named before its fields are made: a schema may hold itself."""
        key = (id(found.schema), "") if found.ref is None else (id(found.root), found.ref)
        if key in self._named:
            return self._named[key]
        name = f"T{len(self._file.message_type)}"
        self._named[key] = f".{_PACKAGE}.{name}"
        self._kept.append(found)
        message = self._add(name)
        for number, (field, inner) in enumerate(found.fields.items(), 1):
            if _IDENTIFIER.match(field):
                self._field(message, number, field, inner)
        return f".{_PACKAGE}.{name}"

    def _field(self, message: Any, number: int, name: str, found: Shape) -> None:
        if found.kind in _SCALARS:
            plain, wrapper = _SCALARS[found.kind]
            self._set(message, number, name, wrapper if found.nullable else plain)
        elif found.kind == "object":
            self._set(message, number, name, self._message(found) if _declared(found) else _STRUCT)
        elif found.kind == "array" and not found.nullable:
            self._list(message, number, name, found.items)
        else:
            self._set(message, number, name, _ANY)

    def _list(self, message: Any, number: int, name: str, items: Shape) -> None:
        """A list whose items can be null, lists or anything has no exact type: its items are then of any."""
        if items.kind in _SCALARS and not items.nullable:
            self._set(message, number, name, _SCALARS[items.kind][0], repeated=True)
        elif items.kind == "object" and _declared(items):
            self._set(message, number, name, self._message(items), repeated=True)
        else:
            self._set(message, number, name, _ANY, repeated=True)

    def _set(self, message: Any, number: int, name: str, kind: int | str, *, repeated: bool = False) -> None:
        field = message.field.add(
            name=name,
            number=number,
            # Names that differ only in case or underscores would share the JSON name that is derived from them.
            json_name=f"f{number}",
            label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
        )
        if isinstance(kind, str):
            field.type, field.type_name = _Field.TYPE_MESSAGE, kind
        else:
            field.type = kind

    def _add(self, name: str) -> Any:
        return self._file.message_type.add(name=name)


def _declared(found: Shape) -> bool:
    """Whether the object's fields are known and few enough for a message (protocol buffers take some 8,000)."""
    return (bool(found.fields) or found.closed) and len(found.fields) <= _MAX_FIELDS


def accepts(expected: Shape, type_name: str) -> bool:
    """Whether a parameter of shape ``expected`` takes a value of the CEL type called ``type_name``."""
    if type_name in ("DYN", "ERROR") or (type_name == "NULL" and expected.nullable):
        return True
    if expected.kind == "any":
        return not expected.options or any(accepts(option, type_name) for option in expected.options)
    if expected.kind == "array":
        return type_name.startswith("LIST<") and accepts(expected.items, type_name[5:-1])
    if expected.kind == "object":
        return type_name.startswith("MAP<") or _is_message(type_name)
    return type_name in _TAKES[expected.kind]


_TAKES: dict[Kind, frozenset[str]] = {
    # A moment or a span of time is rendered as text.
    "string": frozenset({"STRING", "TIMESTAMP", "DURATION", "BYTES"}),
    "integer": frozenset({"INT", "UINT"}),
    "number": frozenset({"INT", "UINT", "DOUBLE"}),
    "boolean": frozenset({"BOOL"}),
    "null": frozenset({"NULL"}),
}
_WORDS = {
    "STRING": "a text",
    "INT": "a whole number",
    "UINT": "a whole number",
    "DOUBLE": "a number",
    "BOOL": "true or false",
    "NULL": "null",
    "TIMESTAMP": "a time",
    "DURATION": "a span of time",
    "BYTES": "bytes",
}
_KIND_WORDS: dict[Kind, str] = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
    "any": "anything",
}


def type_words(type_name: str) -> str:
    """A CEL type in a reader's words."""
    if type_name.startswith("LIST<"):
        inner = type_name[5:-1]
        return "a list" if inner == "DYN" else f"a list ({type_words(inner)} each)"
    return "an object" if type_name.startswith("MAP<") or _is_message(type_name) else _WORDS.get(type_name, type_name)


def kind_words(found: Shape) -> str:
    """A shape in a reader's words."""
    if found.options:
        return " or ".join(dict.fromkeys(kind_words(option) for option in found.options))
    if found.kind == "array" and found.items.kind != "any":
        return f"a list ({kind_words(found.items)} each)"
    return _KIND_WORDS[found.kind]


def _is_message(type_name: str) -> bool:
    return type_name.startswith((f"{_PACKAGE}.", "google.protobuf."))
