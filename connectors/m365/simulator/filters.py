"""The part of OData's ``$filter`` language that directory objects answer to: parsed, checked, evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors.m365.simulator.errors import GraphError, malformed, unsupported_query
from connectors.m365.simulator.schema import Resource

TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<guid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    r"|(?P<number>-?\d+)|(?P<name>[A-Za-z_@$][\w.]*)|(?P<sign>[(),:/]))"
)
FUNCTIONS = ("startswith", "endswith")
COMPARISONS = ("eq", "ne", "in")

Test = Callable[[Any], bool]


@dataclass(frozen=True)
class Use:
    """One property used with one operator; what a resource allows is checked against it."""

    path: str
    operator: str


@dataclass(frozen=True)
class Filter:
    """A parsed filter: does an object pass, and which properties does it use how."""

    passes: Test
    uses: tuple[Use, ...]
    advanced: bool


class _Parser:
    """Recursive descent over the tokens; ``or`` binds least, ``not`` most."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self.uses: list[Use] = []
        self.negates = False

    def parse(self) -> Test:
        test = self._or()
        if self._at != len(self._tokens):
            raise _broken(f"Syntax error at '{self._tokens[self._at][1]}'")
        return test

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, *expected: str) -> tuple[str, str]:
        kind, text = self._peek()
        if expected and text.lower() not in expected and kind not in expected:
            raise _broken(f"'{' or '.join(expected)}' expected, '{text}' found")
        self._at += 1
        return kind, text

    def _or(self) -> Test:
        tests = [self._and()]
        while self._peek()[1].lower() == "or":
            self._take()
            tests.append(self._and())
        return tests[0] if len(tests) == 1 else lambda item: any(test(item) for test in tests)

    def _and(self) -> Test:
        tests = [self._not()]
        while self._peek()[1].lower() == "and":
            self._take()
            tests.append(self._not())
        return tests[0] if len(tests) == 1 else lambda item: all(test(item) for test in tests)

    def _not(self) -> Test:
        if self._peek()[1].lower() == "not":
            self._take()
            self.negates = True
            inner = self._not()
            return lambda item: not inner(item)
        return self._primary()

    def _primary(self) -> Test:
        kind, text = self._peek()
        if text == "(":
            self._take()
            test = self._or()
            self._take(")")
            return test
        if kind == "name" and text.lower() in FUNCTIONS:
            return self._function()
        return self._comparison()

    def _function(self) -> Test:
        name = self._take()[1].lower()
        self._take("(")
        path = self._path()
        self._take(",")
        wanted = str(self._value()).lower()
        self._take(")")
        self.uses.append(Use(path, name))
        check = str.startswith if name == "startswith" else str.endswith
        return lambda item: check(str(_at(item, path) or "").lower(), wanted)

    def _path(self) -> str:
        parts = [self._take("name")[1]]
        while self._peek()[1] == "/":
            self._take()
            parts.append(self._take("name")[1])
        return "/".join(parts)

    def _comparison(self) -> Test:
        path = self._path()
        if path.endswith("/any"):
            return self._any(path.removesuffix("/any"))
        operator = self._take(*COMPARISONS)[1].lower()
        self.uses.append(Use(path, operator))
        if operator == "in":
            values = self._list()
            return lambda item: _folded(_at(item, path)) in values
        value = _folded(self._value())
        if operator == "eq":
            return lambda item: _folded(_at(item, path)) == value
        return lambda item: _folded(_at(item, path)) != value

    def _list(self) -> list[Any]:
        self._take("(")
        values = [_folded(self._value())]
        while self._peek()[1] == ",":
            self._take()
            values.append(_folded(self._value()))
        self._take(")")
        return values

    def _any(self, path: str) -> Test:
        self.uses.append(Use(path, "any"))
        self._take("(")
        variable = self._take("name")[1]
        self._take(":")
        inner_path = self._path()
        if inner_path.split("/")[0] != variable:
            raise _broken(f"'{inner_path}' does not begin with the range variable '{variable}'")
        self._take("eq")
        value = _folded(self._value())
        self._take(")")
        inside = inner_path.partition("/")[2]
        return lambda item: any(_folded(_at(one, inside)) == value for one in _at(item, path) or [])

    def _value(self) -> Any:
        kind, text = self._take("string", "guid", "number", "name")
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return int(text)
        if kind == "name":
            if text.lower() not in ("true", "false", "null"):
                raise _broken(f"'{text}' is not a value")
            return {"true": True, "false": False, "null": None}[text.lower()]
        return text


def parse(text: str, resource: Resource, *, advanced: bool) -> Filter:
    """Parse ``$filter`` and refuse what Graph does not support on ``resource`` (or only with advanced queries)."""
    parser = _Parser(text)
    passes = parser.parse()
    needs_advanced = parser.negates
    for use in parser.uses:
        needs_advanced |= _check(use, resource)
    if needs_advanced and not advanced:
        raise unsupported_query(
            "Operator or property is not supported without the 'ConsistencyLevel: eventual' header and $count=true."
        )
    return Filter(passes, tuple(parser.uses), needs_advanced)


def _check(use: Use, resource: Resource) -> bool:
    """Whether ``use`` needs an advanced query; refused when it is not supported at all."""
    if use.path.split("/")[0] not in resource.selectable:
        raise malformed(
            f"Invalid filter clause: Could not find a property named '{use.path}' on type "
            f"'microsoft.graph.{resource.name}'."
        )
    if use.operator in resource.filters.get(use.path, ()):
        return False
    if use.operator in resource.advanced.get(use.path, ()):
        return True
    raise unsupported_query(
        f"Unsupported or invalid query filter clause specified for property '{use.path}' of resource "
        f"'{resource.name.capitalize()}'."
    )


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while text[at:].strip():
        match = TOKEN.match(text, at)
        if match is None:
            raise _broken(f"Syntax error at position {at} in '{text}'")
        found.append((str(match.lastgroup), match.group(str(match.lastgroup))))
        at = match.end()
    return found


def _broken(message: str) -> GraphError:
    return malformed(f"Invalid filter clause: {message}.")


def _at(item: Any, path: str) -> Any:
    for part in path.split("/") if path else ():
        item = item.get(part) if isinstance(item, dict) else None
    return item


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
