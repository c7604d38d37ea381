"""Inputs of a run: one set typed by a person, or the rows of a table. All of it is checked before anything starts."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jsonschema import FormatChecker
from jsonschema.exceptions import ValidationError

from app.core.errors import Invalid, Problem
from app.engine.core.inputs import inputs_excess
from app.engine.core.schema_check import Unusable, bounded_errors, validator_of

Json = dict[str, Any]

MAX_ROWS = 10_000
MAX_TABLE_BYTES = 10_000_000
_TRUE = {"true", "yes", "1", "oui", "vrai", "x"}
_FALSE = {"false", "no", "0", "non", "faux"}


@dataclass(frozen=True)
class CheckedRow:
    """A row of a table with its 1-based number (the header is not counted), its inputs and what is wrong with it."""

    number: int
    inputs: Json
    problems: tuple[Problem, ...] = ()


class Checker:
    """Checks inputs against one schema; there is one for all the rows of a table, and for all starts of a version."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        closed = {**schema, "additionalProperties": False}
        self._validator = validator_of(closed, format_checker=FormatChecker())

    def check(self, inputs: Mapping[str, Any], *, row: int | None = None) -> list[Problem]:
        """What is wrong with ``inputs``, each with the field's name (and the row's number)."""
        if beyond := inputs_excess(inputs, None):
            return [replace(beyond, row=row)]
        try:
            errors = list(bounded_errors(self._validator, dict(inputs)))
        except Unusable as unusable:
            return [Problem(unusable.code, str(unusable), row=row)]
        found = sorted(errors, key=lambda error: list(map(str, error.absolute_path)))
        return [problem for error in found for problem in _problems(error, row)]

    def checked(self, inputs: Mapping[str, Any]) -> Json:
        """``inputs`` with defaults. Raises Invalid naming each field that is wrong."""
        complete = with_defaults(self._schema, inputs)
        if problems := self.check(complete):
            raise Invalid("Some inputs are not right.", code="inputs_invalid", problems=problems)
        return complete


def check(schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with ``inputs``, each with the field's name."""
    return Checker(schema).check(inputs)


def _problems(error: ValidationError, row: int | None) -> list[Problem]:
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "required":
        names = [name for name in error.validator_value if name not in error.instance]
        missing = [name for name in names if repr(name) in error.message]
        return [Problem("missing_param", f"{name} is missing.", field=name, row=row) for name in missing or names[:1]]
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        extra = [name for name in error.instance if name not in known]
        return [_unknown(name, row) for name in extra]
    return [Problem(*_said(error), field=path or None, row=row, params={"value": str(error.instance)[:80]})]


def _unknown(name: str, row: int | None) -> Problem:
    return Problem("unknown_param", f"There is no input called {name}.", field=name, row=row, params={"param": name})


# The formats of a JSON schema, as people call them.
_KINDS = {"email": "an e-mail address", "date": "a date (YYYY-MM-DD)"}


def _said(error: ValidationError) -> tuple[str, str]:
    """Code and sentence for the usual mistakes; the library's own words for the rest."""
    value = str(error.instance)[:80]
    match error.validator:
        case "format":
            kind = _KINDS.get(error.validator_value, f"valid {error.validator_value}")
            return f"not_{error.validator_value}", f"“{value}” is not {kind}."
        case "enum":
            options = ", ".join(map(str, error.validator_value))
            return "not_one_of", f"“{value}” is not one of: {options}."
        case "type":
            return "wrong_type", f"“{value}” is not a {error.validator_value}."
        case "minLength":
            return "missing_param", "This must not be empty."
    return "invalid_value", error.message


def with_defaults(schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> Json:
    """``inputs`` with the schema's defaults where nothing was given."""
    properties = schema.get("properties", {})
    defaults = {name: spec["default"] for name, spec in properties.items() if "default" in spec}
    return {**defaults, **inputs}


def checked(schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> Json:
    """``inputs`` with defaults. Raises Invalid naming each field that is wrong."""
    return Checker(schema).checked(inputs)


def coerce(schema: Mapping[str, Any], texts: Mapping[str, str]) -> Json:
    """Texts of a form or a table as the types of ``schema``. Empty cells are left out; what does not fit stays text, so
    that the check names it."""
    properties = schema.get("properties", {})
    return {
        name: _coerced(properties.get(name, {}), text.strip())
        for name, text in texts.items()
        if text is not None and text.strip() != ""
    }


def _coerced(spec: Mapping[str, Any], text: str) -> Any:
    kind = spec.get("type")
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text.replace(",", "."))
    except ValueError:
        return text
    if kind == "boolean" and text.casefold() in _TRUE | _FALSE:
        return text.casefold() in _TRUE
    if kind == "array":
        return [_coerced(spec.get("items", {}), part.strip()) for part in text.split(";") if part.strip()]
    return text


def read_table(data: bytes) -> list[dict[str, str]]:
    """The rows of a CSV file by its header. UTF-8 (with or without mark) or Windows-1252; comma, semicolon or tab.

    Raises Invalid where there is no header, a header is doubled, a row is longer than the header, or there is too much.
    """
    if len(data) > MAX_TABLE_BYTES:
        raise Invalid("The file is larger than 10 MB.", code="table_too_big")
    text = _decoded(data)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [row for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        message = f"Line {reader.line_num} cannot be read: {error}."
        raise Invalid(message, code="table_unreadable", params={"line": reader.line_num}) from None
    if not rows:
        raise Invalid("The file is empty.", code="table_empty")
    header = [name.strip() for name in rows[0]]
    _require_good_header(header)
    _require_good_rows(header, rows[1:])
    return [dict(zip(header, row, strict=False)) for row in rows[1:]]


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _require_good_header(header: Sequence[str]) -> None:
    doubled = {name for name in header if header.count(name) > 1}
    if "" in header or doubled:
        names = ", ".join(sorted(doubled)) or "(empty)"
        raise Invalid(
            f"The first line must name each column once: {names}.", code="table_header", params={"names": names}
        )


def _require_good_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        raise Invalid("The file has a header and no rows.", code="table_empty")
    if len(rows) > MAX_ROWS:
        raise Invalid(f"The file has more than {MAX_ROWS} rows.", code="table_too_big", params={"limit": MAX_ROWS})
    long = [
        Problem("row_too_long", f"Row {number} has more cells than the header.", row=number)
        for number, row in enumerate(rows, start=1)
        if len(row) > len(header)
    ]
    if long:
        raise Invalid("Some rows have more cells than the header.", code="table_rows", problems=long)


def check_rows(schema: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[CheckedRow]:
    """Every row as inputs with what is wrong with it; a row that repeats an earlier one is wrong too."""
    found: list[CheckedRow] = []
    seen: dict[str, int] = {}
    checker = Checker(schema)
    for number, row in enumerate(rows, start=1):
        texts = all(isinstance(value, str) or value is None for value in row.values())
        inputs = with_defaults(schema, coerce(schema, row) if texts else row)
        problems = checker.check(inputs, row=number)
        earlier = seen.setdefault(repr(sorted(inputs.items(), key=lambda item: item[0])), number)
        if earlier != number:
            message = f"Row {number} is the same as row {earlier}."
            problems.append(Problem("row_repeated", message, row=number, params={"earlier": earlier}))
        found.append(CheckedRow(number=number, inputs=inputs, problems=tuple(problems)))
    return found
