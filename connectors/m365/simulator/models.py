"""Requests and answers are held against the models of the vendor's SDK.

A model's deserializers are run once against a node that only notes what they ask for; what is noted is the model's
schema as the SDK sees it. Values are then checked strictly: a name that the model does not have (it would end in
``additional_data``) or a value of another type (the SDK would drop it silently) is a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any

UUID_TEXT = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
MODELS = "msgraph.generated.models."


@dataclass(frozen=True)
class FieldType:
    """What a field holds: ``kind`` of value, the model, enum or primitive of it, and whether it is a list."""

    kind: str
    of: Any = None
    many: bool = False


class _Note:
    """A parse node that notes the getter a deserializer calls, and gives nothing."""

    def __init__(self) -> None:
        self.noted: FieldType | None = None

    def __getattr__(self, name: str) -> Any:
        def getter(of: Any = None) -> None:
            kind = name.removeprefix("get_").removesuffix("_value")
            if kind.startswith("collection_of_"):
                kind = kind.removeprefix("collection_of_").removesuffix("_values")
                self.noted = FieldType("object" if kind == "object" else kind, of, many=True)
            else:
                self.noted = FieldType(kind, of)

        return getter


def model(path: str) -> Any:
    """The SDK's class at ``path``: a module below its models, or a full path, then ``:`` and the class."""
    module, _, name = path.partition(":")
    full = module if module.startswith("msgraph.") else MODELS + module
    return getattr(import_module(full), name)


@cache
def fields_of(kind: Any) -> dict[str, FieldType]:
    """The fields of a model and their types, as its own deserializers name them."""
    found: dict[str, FieldType] = {}
    for name, deserialize in kind().get_field_deserializers().items():
        note = _Note()
        deserialize(note)
        if note.noted is not None:
            found[name] = note.noted
    return found


@cache
def _derived(kind: Any, odata_type: str) -> Any:
    """The subclass that the SDK picks for an ``@odata.type``."""
    from kiota_serialization_json.json_parse_node import JsonParseNode

    return type(kind.create_from_discriminator_value(JsonParseNode({"@odata.type": odata_type})))


def problems(kind: Any, value: Any, where: str = "") -> Iterator[str]:
    """What is wrong with ``value`` as a ``kind``; nothing when the SDK would read all of it."""
    if not isinstance(value, dict):
        yield f"{where or 'body'} is not an object"
        return
    if "@odata.type" in value:
        kind = _derived(kind, str(value["@odata.type"]))
    known = fields_of(kind)
    for name, item in value.items():
        place = f"{where}.{name}" if where else name
        if name in known:
            yield from _field_problems(known[name], item, place)
        elif not name.startswith("@odata.") and "@odata." not in name:
            yield f"{place} is not a property of {kind.__name__}"


def _field_problems(field: FieldType, value: Any, where: str) -> Iterator[str]:
    if value is None:
        return
    if field.many:
        if not isinstance(value, list):
            yield f"{where} is not a list"
            return
        single = _element(field)
        for index, item in enumerate(value):
            yield from _field_problems(single, item, f"{where}[{index}]")
    elif field.kind == "object":
        yield from problems(field.of, value, where)
    elif not _fits(field, value):
        yield f"{where} is not of type {field.kind}"


def _element(field: FieldType) -> FieldType:
    if field.kind == "primitive":
        return FieldType(getattr(field.of, "__name__", "str").lower())
    return FieldType(field.kind, field.of)


def _fits(field: FieldType, value: Any) -> bool:
    match field.kind:
        case "str" | "bytes":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "uuid":
            return isinstance(value, str) and bool(UUID_TEXT.match(value))
        case "datetime":
            return isinstance(value, str) and _is_moment(value)
        case "enum":
            return isinstance(value, str) and value in {member.value for member in field.of}
    return False


def _is_moment(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return len(value) >= 10
