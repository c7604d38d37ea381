"""A run's inputs: checked against the workflow's schema, completed, and read from texts (a CSV row, a command line)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.core.errors import Problem
from app.core.storable import REFUSED, unstorable
from app.engine.core.document import Excess, excess
from app.engine.core.schema_check import schema_problem, value_problems
from app.engine.core.shapes import Schema, Shape, shape

MAX_INPUT_BYTES = 1_000_000
_TOO: dict[Excess, tuple[str, str]] = {
    "big": ("big", f"The inputs are larger than {MAX_INPUT_BYTES // 1_000_000} MB."),
    "deep": ("deep", "The inputs are nested too deeply."),
    "number": ("large", "The inputs hold a number that is not finite or too large; give it as a text."),
}
_TRUE = frozenset({"true", "yes", "1", "on", "x", "oui", "vrai"})
_FALSE = frozenset({"false", "no", "0", "off", "non", "faux"})


def check_inputs(schema: Schema, given: Any, field: str = "inputs") -> tuple[dict[str, Any], list[Problem]]:
    """The inputs as a run sees them, and what is wrong with them.

    Defaults are filled in, optional ones that are missing become null (so that an expression may ask), whole numbers
    given for numbers become numbers. Unknown names are refused unless the schema allows them.
    """
    if not isinstance(given, Mapping):
        return {}, [Problem("wrong_type", "The inputs must be an object.", field=field)]
    if beyond := inputs_excess(given, field):
        return {}, [beyond]
    wrong = schema_problem(schema)
    if wrong is not None:
        return {}, [Problem("bad_inputs", f"The workflow's input schema is not valid: {wrong[0]}.", field=field)]
    found = shape(schema)
    values = {
        name: value for name, value in given.items() if not _left_out(value, found.fields.get(name), schema, name)
    }
    problems = _unknown_names(values, found, field)
    known = {name: value for name, value in values.items() if name in found.fields or not found.closed}
    problems += value_problems(known, schema, schema, field)
    return _completed(known, found), problems


def inputs_excess(given: Any, field: str | None) -> Problem | None:
    """What is wrong with inputs that are too large, too deep, or hold a number that JSON cannot carry or a text that
    cannot be kept."""
    beyond = excess(given, MAX_INPUT_BYTES)
    if beyond is not None:
        return Problem(f"inputs_too_{_TOO[beyond][0]}", _TOO[beyond][1], field=field)
    place = unstorable(given)
    if place is None:
        return None
    return Problem("not_storable", REFUSED, field=".".join(filter(None, (field, place))) or None)


def inputs_from_texts(
    schema: Schema, texts: Mapping[str, str | None], field: str = "inputs"
) -> tuple[dict[str, Any], list[Problem]]:
    """As :func:`check_inputs`, from texts: an empty one is left out, others are read by the type that is asked for.

    Lists are given as JSON, or with ``;`` between the items.
    """
    found = shape(schema)
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, text in texts.items():
        if text is None or not text.strip():
            continue
        try:
            values[name] = _read(text.strip(), found.fields.get(name) or shape({"type": "string"}))
        except ValueError as error:
            problems.append(Problem("wrong_type", str(error), field=f"{field}.{name}"))
    inputs, more = check_inputs(schema, values, field)
    misread = {problem.field for problem in problems}
    return inputs, [*problems, *(problem for problem in more if problem.field not in misread)]


def _left_out(value: Any, found: Shape | None, schema: Schema, name: str) -> bool:
    """Null for an optional input is the same as not giving it, unless its schema speaks of null."""
    if value is not None or found is None or name in (schema.get("required") or ()):
        return False
    inner = shape((schema.get("properties") or {}).get(name), schema)
    return not inner.nullable


def _unknown_names(values: Mapping[str, Any], found: Shape, field: str) -> list[Problem]:
    if not found.closed:
        return []
    return [
        Problem("unknown_field", f"The workflow has no input called {name}.", field=f"{field}.{name}")
        for name in values
        if name not in found.fields
    ]


def _completed(values: Mapping[str, Any], found: Shape) -> dict[str, Any]:
    complete = {name: _as_declared(value, found.fields.get(name)) for name, value in values.items()}
    for name, inner in found.fields.items():
        if name not in complete:
            complete[name] = _as_declared(inner.schema.get("default"), inner)
    return complete


def _as_declared(value: Any, found: Shape | None) -> Any:
    """Numbers in the kind that expressions were checked for: CEL does not add 3 and 0.5."""
    if found is None or isinstance(value, bool):
        return value
    if found.kind == "number" and isinstance(value, int):
        return float(value)
    if found.kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if found.kind == "array" and isinstance(value, list | tuple):
        return [_as_declared(item, found.items) for item in value]
    if found.kind == "object" and isinstance(value, Mapping):
        return _completed(value, found)
    return value


def _read(text: str, found: Shape) -> Any:
    """``text`` as a value of this shape. Raises ValueError with a sentence."""
    match found.kind:
        case "string":
            return text
        case "integer":
            return _number(text, int, "a whole number")
        case "number":
            return _number(text.replace(",", "."), float, "a number")
        case "boolean":
            return _truth(text)
        case "array" if not text.startswith("["):
            return [_read(part.strip(), found.items) for part in text.split(";") if part.strip()]
        case "any" if not text.startswith(("{", "[", '"')):
            return text
        case "null":
            raise ValueError("This must be left empty.")
        case _:
            return _json(text)


def _number(text: str, kind: type[int] | type[float], words: str) -> int | float:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"This must be {words}, not “{text[:80]}”.") from None


def _truth(text: str) -> bool:
    lowered = text.casefold()
    if lowered not in _TRUE | _FALSE:
        raise ValueError(f"This must be true or false, not “{text[:80]}”.")
    return lowered in _TRUE


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"This must be JSON, not “{text[:80]}”.") from None
