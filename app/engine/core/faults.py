"""What is wrong with an expression, in words for whoever wrote it."""

from __future__ import annotations

import re
from typing import Any

from app.core.errors import Problem
from app.engine.core.templates import TemplateError


class ExpressionError(Exception):
    """An expression is wrong or failed. ``code`` is stable; ``line`` and ``column`` count from 1 where known."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        expression: str,
        line: int | None = None,
        column: int | None = None,
        **params: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field: str | None = None
        details = {"expression": expression, "line": line, "column": column, **params}
        self.params = {key: value for key, value in details.items() if value is not None}

    def as_json(self) -> dict[str, Any]:
        """The error as a run stores it, in the shape of a connector error."""
        return {
            "remedy": "Rejected",
            "code": self.code,
            "message": self.message,
            "field": self.field,
            "details": self.params,
        }

    def as_problem(self, node: str | None = None, field: str | None = None) -> Problem:
        """The error as validation reports it."""
        return Problem(self.code, self.message, field=field or self.field, node=node, params=self.params)


def template_error(error: TemplateError, text: str) -> ExpressionError:
    """A text whose templates cannot be told apart, as an expression's error."""
    line = text.count("\n", 0, error.offset) + 1
    column = error.offset - text.rfind("\n", 0, error.offset)
    return ExpressionError(error.message, code=error.code, expression=text[:200], line=line, column=column)


def costly(expression: str) -> ExpressionError:
    """The refusal of an expression that would take too long or too much memory."""
    message = "The expression would work on too much data at once; use shorter lists or fewer steps."
    return ExpressionError(message, code="expression_too_costly", expression=expression)


_POSITION = re.compile(r"ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<message>.*)")


def library_error(expression: str, words: str) -> ExpressionError:
    """What the library says of a wrong expression, with its place and without its own decoration."""
    found = _POSITION.search(words)
    if found is None:
        message = "The expression is nested too deeply." if "recursion" in words else words.splitlines()[0]
        return ExpressionError(message, code="broken_expression", expression=expression)
    line, column = int(found["line"]), int(found["column"])
    place = {"line": line, "column": column} if line > 0 and column > 0 else {}
    message = _plainly(found["message"])
    return ExpressionError(message, code="broken_expression", expression=expression, **place)


def _plainly(words: str) -> str:
    """The library's words for whoever wrote the expression."""
    if "recursion depth" in words:
        return "The expression is nested too deeply."
    words = words.removeprefix("Syntax error: ").removesuffix(" (in container '')").partition(" expecting ")[0]
    for pattern, said in _SAID:
        found = re.fullmatch(pattern, words, re.DOTALL)
        if found is not None:
            return str(said(*found.groups()))
    return f"The expression is wrong: {words}."


def _unexpected(what: str) -> str:
    return "The expression ends too early." if what == "<EOF>" else f"The expression has {what} where it cannot be."


def _no_overload(function: str, types: str) -> str:
    name = function.replace("_", "").replace("@", "") or function
    given = [_TYPE_WORDS.get(kind, kind) for kind in _types(types)]
    hint = " Convert with double(…) or int(…)." if {"a whole number", "a number"} <= set(given) else ""
    return f"{name} cannot be applied to {' and '.join(given)}.{hint}"


def _types(words: str) -> list[str]:
    """``string, wrapper(int)`` as its parts. A receiver stands before: ``string.(int)``."""
    plain = re.sub(r"wrapper\((\w+)\)", r"\1", words).replace(".(", ", ").replace("(", "").replace(")", "")
    return [re.sub(r"opsloom\.\w+", "object", part.strip()) for part in re.split(r",(?![^<]*>)", plain) if part.strip()]


_TYPE_WORDS = {
    "string": "a text",
    "int": "a whole number",
    "uint": "a whole number",
    "double": "a number",
    "bool": "true or false",
    "null_type": "null",
    "object": "an object",
    "google.protobuf.Timestamp": "a time",
    "google.protobuf.Duration": "a span of time",
}
_SAID: tuple[tuple[str, Any], ...] = (
    (r"(?:mismatched|extraneous) input '(.*)'", _unexpected),
    (r"token recognition error at: '(.*)'", _unexpected),
    (r"found no matching overload for '(.*)' applied to '(.*)'", _no_overload),
    (r"undeclared reference to '(.*)'", lambda name: f"There is nothing called {name}."),
    (r"undefined field '(.*)' not found in struct '.*'", lambda name: f"There is no field {name}."),
)
