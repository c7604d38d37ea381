"""Static values checked against JSON schemas, with problems that name the field and say why in plain words.

Patterns are matched by RE2 (through CEL), which takes time linear in the text whatever the pattern is: patterns come
from workflow documents, and Python's own engine can be made to run for years. So can schemas whose references double at
each step, and lists whose entries are compared each with each: what a check costs is bounded.

A schema refers to its own parts and to nothing else. The library would fetch what any other reference names, from this
machine and its network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import Any, ClassVar

from cel_expr_python import cel  # type: ignore[import-untyped, unused-ignore]
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped, unused-ignore]
from jsonschema.exceptions import (  # type: ignore[import-untyped, unused-ignore]
    SchemaError,
    ValidationError,
    best_match,
)
from jsonschema.validators import extend  # type: ignore[import-untyped, unused-ignore]
from referencing import Registry
from referencing.exceptions import Unresolvable

from app.core.errors import Problem
from app.engine.core.schema_parts import patterns_in, strange_part
from app.engine.core.shapes import shape
from app.engine.core.types import kind_words

MAX_PROBLEMS = 50
MAX_PATTERN = 1_000
MAX_REFERENCES = 20_000
"""References that one check follows: some seconds."""
Schema = Mapping[str, Any]


def value_problems(value: Any, schema: Schema, root: Schema, field: str, node: str | None = None) -> list[Problem]:
    """What is wrong with ``value``; ``root`` holds the ``$defs`` that ``schema`` refers to."""
    found: list[Problem] = []
    try:
        for error in bounded_errors(_validator(schema, root), value):
            found.extend(_problems(error, schema, root, field, node))
            if len(found) >= MAX_PROBLEMS:
                break
    except Unusable as unusable:
        found.append(Problem(unusable.code, str(unusable), field=field, node=node))
    return found


class Unusable(Exception):
    """No value can be checked against this schema; ``code`` says why."""

    code: ClassVar[str]


class Endless(Unusable):
    """A schema refers to itself too often for a value to be checked."""

    code = "schema_endless"

    def __init__(self) -> None:
        super().__init__("The schema refers to itself too often for this to be checked. Make it flatter.")


class Elsewhere(Unusable):
    """A schema refers to something that is not in it."""

    code = "schema_elsewhere"

    def __init__(self) -> None:
        super().__init__("The schema refers to something that is not in it. Put it under $defs.")


def validator_of(schema: Schema, **more: Any) -> Any:
    """A validator of ``schema`` whose cost is bounded, for :func:`bounded_errors`. It fetches nothing."""
    return _Validator(schema, registry=Registry(), **more)


def bounded_errors(validator: Any, value: Any) -> Iterator[ValidationError]:
    """What the validator finds wrong with ``value``. Raises Endless where the schema leads round and round, Elsewhere
    where it leads out of itself."""
    token = _left.set([MAX_REFERENCES])
    try:
        yield from list(validator.iter_errors(value))
    except RecursionError:
        raise Endless from None
    except Unresolvable:
        raise Elsewhere from None
    finally:
        _left.reset(token)


def schema_problem(schema: Any) -> tuple[str, str] | None:
    """Why ``schema`` is no valid JSON schema, and the dotted path of the fault; None where it is one."""
    try:
        _Validator.check_schema(schema)
    except SchemaError as error:
        return error.message, ".".join(str(part) for part in error.absolute_path)
    for path, pattern in patterns_in(schema):
        if len(pattern) > MAX_PATTERN:
            return f"a pattern may be at most {MAX_PATTERN} characters long", ".".join(path)
        if not _compiles(pattern):
            return f"the pattern {pattern!r} is not a regular expression of the RE2 kind", ".".join(path)
    return strange_part(schema)


def _problems(error: ValidationError, schema: Schema, root: Schema, field: str, node: str | None) -> Iterator[Problem]:
    at = ".".join([field, *(str(part) for part in error.absolute_path)]) if field else _dotted(error)
    if error.validator == "required":
        # One error speaks of one missing name, in quotes at the front of the library's message.
        for name in error.validator_value:
            if name not in error.instance and f"{name!r} is" in error.message:
                yield Problem("missing_field", f"{name} is missing.", field=_join(at, name), node=node)
        return
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = error.schema.get("properties") or {}
        for name in error.instance:
            if name not in known:
                yield Problem("unknown_field", f"There is no field {name} here.", field=_join(at, str(name)), node=node)
        return
    code, message, params = _said(error, root)
    yield Problem(code, message, field=at, node=node, params=params)


def _said(error: ValidationError, root: Schema) -> tuple[str, str, dict[str, Any]]:
    """Code, sentence and parameters for one of the library's errors."""
    limit = error.validator_value
    match error.validator:
        case "type":
            wanted = kind_words(shape(error.schema, root))
            return "wrong_type", f"This must be {wanted}.", {"expected": wanted}
        case "anyOf" | "oneOf":
            nearest = best_match(error.context or [])
            if nearest is not None and nearest.validator != "type":
                return _said(nearest, root)
            wanted = kind_words(shape(error.schema, root))
            return "wrong_type", f"This must be {wanted}.", {"expected": wanted}
        case "enum":
            choices = [str(choice) for choice in limit]
            return "not_a_choice", f"This must be one of {', '.join(choices)}.", {"choices": choices}
        case "const":
            return "not_a_choice", f"This must be {limit}.", {"choices": [str(limit)]}
        case "minLength":
            return "too_short", f"This must have at least {limit} characters.", {"limit": limit}
        case "maxLength":
            return "too_long", f"This may have at most {limit} characters.", {"limit": limit}
        case "minimum" | "exclusiveMinimum":
            return "too_small", f"This must be at least {limit}.", {"limit": limit}
        case "maximum" | "exclusiveMaximum":
            return "too_large", f"This may be at most {limit}.", {"limit": limit}
        case "minItems" | "minProperties":
            return "too_few", f"This must have at least {limit} entries.", {"limit": limit}
        case "maxItems" | "maxProperties":
            return "too_many", f"This may have at most {limit} entries.", {"limit": limit}
        case "pattern":
            return "wrong_pattern", f"This must match the pattern {limit}.", {"pattern": limit}
        case "format":
            return "wrong_format", f"This must be a valid {limit}.", {"format": limit}
        case _:
            return "not_valid", error.message[:300], {}


def _dotted(error: ValidationError) -> str:
    return ".".join(str(part) for part in error.absolute_path)


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _validator(schema: Schema, root: Schema) -> Any:
    key = (id(schema), id(root))
    kept = _validators.get(key)
    if kept is None or kept[0] is not schema or kept[1] is not root:
        if len(_validators) > _KEEP:
            _validators.clear()
        combined = dict(schema) if schema is root else {**schema, "$defs": root.get("$defs") or {}}
        validator = validator_of(combined, format_checker=_formats())
        kept = _validators[key] = (schema, root, validator)
    return kept[2]


@cache
def _formats() -> Any:
    """The library's formats, with an e-mail address that has a domain (the library asks for an @ alone)."""
    checker = FormatChecker()
    checker.checks("email")(lambda value: not isinstance(value, str) or _EMAIL.fullmatch(value) is not None)
    return checker


_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_KEEP = 4096
_validators: dict[tuple[int, int], tuple[Schema, Schema, Any]] = {}


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _unique(validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """The library compares mixed lists each with each: a day for a list of a megabyte."""
    if wanted and validator.is_type(instance, "array"):
        seen = {_same(item) for item in instance}
        if len(seen) != len(instance):
            yield ValidationError("some entries are there more than once")


def _same(value: Any) -> Any:
    """A key that is equal for what JSON Schema calls equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, Mapping):
        return "object", frozenset((name, _same(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return "array", tuple(map(_same, value))
    return (type(value).__name__ if isinstance(value, bool | str | None) else "number"), value


_left: ContextVar[list[int]] = ContextVar("references_left")


def _counted(keyword: str) -> Callable[..., Iterator[ValidationError]]:
    follow = Draft202012Validator.VALIDATORS[keyword]

    def counted(validator: Any, target: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        left = _left.get(None)
        if left is not None:
            left[0] -= 1
            if left[0] < 0:
                raise Endless
        yield from follow(validator, target, instance, schema) or ()

    return counted


_Validator = extend(
    Draft202012Validator,
    {
        "pattern": _pattern,
        "uniqueItems": _unique,
        "$ref": _counted("$ref"),
        "$dynamicRef": _counted("$dynamicRef"),
    },
)


@cache
def _matcher() -> Any:
    return cel.NewEnv(variables={"text": cel.Type.STRING, "pattern": cel.Type.STRING}).compile("text.matches(pattern)")


def matches(pattern: str, text: str) -> bool:
    """Whether ``text`` has what ``pattern`` describes; False where the pattern is not of the RE2 kind."""
    return _matcher().eval(data={"text": text, "pattern": pattern}).value() is True


@lru_cache(maxsize=1024)
def _compiles(pattern: str) -> bool:
    return bool(_matcher().eval(data={"text": "", "pattern": pattern}).type() == cel.Type.BOOL)
