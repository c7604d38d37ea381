"""What stands in a JSON schema that somebody wrote, and where: its patterns, and what is not understood here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

Schema = Mapping[str, Any]

_NAMES = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_VALUES = frozenset({"const", "default", "enum", "examples"})
_REFERENCES = frozenset({"$ref", "$dynamicRef"})


def strange_part(schema: Any) -> tuple[str, str] | None:
    """What of ``schema`` is not understood here, and where: properties told by a pattern of their names, which only
    Python's own engine would match, and references that lead out of it or nowhere.

    A reference makes a schema of whatever it leads to, also of an example or a list of names; so each is followed.
    """
    seen: set[int] = set()
    ahead: list[tuple[tuple[str, ...], Any]] = [((), schema)]
    while ahead:
        for path, part in _parts(*ahead.pop(), seen):
            if "patternProperties" in part:
                at = ".".join((*path, "patternProperties"))
                return "patternProperties is not understood here: name the properties", at
            if path and "$id" in part:
                # References below it would mean places in it, and not in the whole.
                return "$id is not understood inside a schema", ".".join((*path, "$id"))
            for word in _REFERENCES & part.keys():
                try:
                    ahead.append(((*path, word), _led_to(schema, part[word])))
                except LookupError:
                    message = f"{part[word]!r} is no place in this schema, such as #/$defs/name"
                    return message, ".".join((*path, word))
    return None


def _parts(path: tuple[str, ...], schema: Any, seen: set[int]) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """``schema`` and all schemas in it that were not ``seen``, each with its path."""
    if isinstance(schema, Mapping):
        if id(schema) in seen:
            return
        seen.add(id(schema))
        yield path, schema
        inner = [((*path, str(key)), value) for key, value in schema.items() if key not in _VALUES | _NAMES]
        for key in _NAMES & schema.keys():
            named = schema[key] if isinstance(schema[key], Mapping) else {}
            inner += [((*path, key, str(name)), value) for name, value in named.items()]
    elif isinstance(schema, list | tuple):
        inner = [((*path, str(place)), value) for place, value in enumerate(schema)]
    else:
        return
    for at, value in inner:
        yield from _parts(at, value, seen)


def _led_to(root: Any, reference: Any) -> Any:
    """The part of ``root`` at a JSON pointer such as ``#/$defs/name``. Raises LookupError where there is none."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise LookupError(reference)
    found = root
    for name in unquote(reference[1:]).split("/")[1:]:
        plain = name.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list | tuple) and plain.isascii() and plain.isdigit():
            found = found[int(plain)]
        elif isinstance(found, Mapping):
            found = found[plain]
        else:
            raise LookupError(reference)
    return found


def patterns_in(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every pattern in a schema, with its path."""
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key == "pattern" and isinstance(value, str):
                yield (*path, "pattern"), value
            else:
                yield from patterns_in(value, (*path, str(key)))
    elif isinstance(schema, list | tuple):
        for place, value in enumerate(schema):
            yield from patterns_in(value, (*path, str(place)))
