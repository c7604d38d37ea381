"""A node's parameters checked while drawing: static values by the step type's schema, templated ones by their type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from app.core.errors import Problem
from app.engine.core.catalogue import StepInfo
from app.engine.core.checking import ExpressionChecker
from app.engine.core.document import Node
from app.engine.core.faults import template_error
from app.engine.core.schema_check import value_problems
from app.engine.core.shapes import Schema, Shape, shape
from app.engine.core.templates import Template, TemplateError, holds_template, split, whole

_BARE = {"bool": shape({"type": "boolean"})}


def param_problems(node: Node, info: StepInfo, checker: ExpressionChecker) -> Iterator[Problem]:
    """Everything wrong with ``node.params``; fields are dotted paths beginning with ``params``."""
    properties: Mapping[str, Any] = info.params_schema.get("properties") or {}
    for name in info.params_schema.get("required") or ():
        if _is_blank(node.params.get(name), properties.get(name), info.params_schema):
            message = f"{_title(name, properties)} is missing."
            yield Problem("missing_param", message, field=f"params.{name}", node=node.id, params={"param": name})
    yield from _needed_here(node, info, properties)
    for name, value in node.params.items():
        if not info.counts(name, node.params):
            continue
        field = f"params.{name}"
        if name not in properties:
            if info.params_schema.get("additionalProperties") is False:
                message = f"{node.type} has no parameter {name}."
                yield Problem("unknown_param", message, field=field, node=node.id, params={"param": name})
        elif name in _required(info) and _is_blank(value, properties[name], info.params_schema):
            continue
        elif name == info.ports_from:
            yield from _cases(value, properties[name], info.params_schema, node.id, field, checker)
        elif name in info.inner:
            continue
        elif info.polls and name == info.polls.params:
            yield from _asked_of(value, info.polled(node.params), node, field, checker)
        elif info.polls and name == info.polls.until:
            yield from _until(value, info.polled(node.params), node.id, field, checker)
        elif name in info.expressions:
            yield from _bare(value, info.expressions[name], node.id, field, checker)
        else:
            yield from _value(value, properties[name], info.params_schema, node.id, field, checker)


def inner_problems(node: Node, info: StepInfo, checker: ExpressionChecker) -> Iterator[Problem]:
    """What is wrong with the expressions that see the steps of the node's body; ``checker`` is the body's."""
    for name in info.inner:
        value = node.params.get(name)
        if value is not None and value != "":
            yield from _bare(value, info.expressions.get(name, "any"), node.id, f"params.{name}", checker)


def _needed_here(node: Node, info: StepInfo, properties: Mapping[str, Any]) -> Iterator[Problem]:
    """Parameters without a default that another one's value calls for."""
    for name in info.conditional:
        wanting = info.counts(name, node.params) and properties[name].get("default", ...) is None
        if wanting and not str(node.params.get(name) or "").strip():
            message = f"{_title(name, properties)} is missing."
            yield Problem("missing_param", message, field=f"params.{name}", node=node.id, params={"param": name})


def _asked_of(value: Any, action: str | None, node: Node, field: str, checker: ExpressionChecker) -> Iterator[Problem]:
    """The parameters of the read action that a step looks with, checked as that action's own."""
    info = checker.catalogue.get(action or "")
    if info is None or info.effect != "read":
        if action:
            message = f"There is no action {action} that reads."
            yield Problem("not_a_read", message, field="params.read", node=node.id, params={"type": action})
        return
    asked = node.model_copy(update={"type": info.id, "params": value if isinstance(value, Mapping) else {}})
    for problem in param_problems(asked, info, checker):
        yield replace(problem, field=f"{field}{(problem.field or '').removeprefix('params')}")


def _until(value: Any, action: str | None, node: str, field: str, checker: ExpressionChecker) -> Iterator[Problem]:
    info = checker.catalogue.get(action or "")
    if info is not None and isinstance(value, str) and value.strip():
        yield from checker.check(value, node, field, _BARE["bool"], shape(info.output_schema or {}))


def _required(info: StepInfo) -> frozenset[str]:
    return frozenset(info.params_schema.get("required") or ())


def _is_blank(value: Any, schema: Any, root: Schema) -> bool:
    """Whether nothing was given. A cleared field of a form leaves an empty text behind."""
    if value is None:
        return not shape(schema, root).nullable
    return isinstance(value, str) and not value.strip()


def _title(name: str, properties: Mapping[str, Any]) -> str:
    found = properties.get(name)
    return str(found.get("title") or name) if isinstance(found, Mapping) else name


def _bare(value: Any, kind: str, node: str, field: str, checker: ExpressionChecker) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem("wrong_type", "This must be an expression.", field=field, node=node)
        return
    yield from checker.check(value, node, field, _BARE.get(kind))


def _cases(
    value: Any, schema: Any, root: Schema, node: str, field: str, checker: ExpressionChecker
) -> Iterator[Problem]:
    """Ways out with the expression that each is taken by."""
    problems = list(value_problems(value, schema, root, field, node))
    yield from problems
    if problems:
        return
    for place, case in enumerate(value):
        yield from checker.check(case["when"], node, f"{field}.{place}.when", _BARE["bool"])


def _value(
    value: Any, schema: Any, root: Schema, node: str, field: str, checker: ExpressionChecker
) -> Iterator[Problem]:
    """Static values go to the schema whole; what holds templates is taken apart as far as they reach."""
    expected = shape(schema, root)
    if not holds_template(value):
        yield from value_problems(value, schema if isinstance(schema, Mapping) else {}, root, field, node)
    elif isinstance(value, str):
        yield from _text(value, expected, node, field, checker)
    elif isinstance(value, Mapping):
        yield from _object(value, _option(expected, "object"), node, field, checker)
    else:
        yield from _array(value, _option(expected, "array"), node, field, checker)


def _text(text: str, expected: Shape, node: str, field: str, checker: ExpressionChecker) -> Iterator[Problem]:
    try:
        only, parts = whole(text), split(text)
    except TemplateError as error:
        yield template_error(error, text).as_problem(node, field)
        return
    if only is not None:
        yield from checker.check(only.expression, node, field, expected)
        return
    for part in parts:
        if isinstance(part, Template):
            yield from checker.check(part.expression, node, field, None)
    if not _takes_text(expected):
        message = "This takes no text, so the expression must stand alone in it."
        yield Problem("wrong_type", message, field=field, node=node)


def _takes_text(expected: Shape) -> bool:
    if expected.options:
        return any(_takes_text(option) for option in expected.options)
    return expected.kind in ("string", "any")


def _object(
    value: Mapping[str, Any], expected: Shape, node: str, field: str, checker: ExpressionChecker
) -> Iterator[Problem]:
    if expected.kind not in ("object", "any"):
        yield from value_problems({}, expected.schema, expected.root, field, node)
        return
    for name in expected.schema.get("required") or ():
        if name not in value:
            yield Problem("missing_field", f"{name} is missing.", field=f"{field}.{name}", node=node)
    for name, item in value.items():
        inner = expected.fields.get(name)
        if inner is None and expected.kind == "object" and expected.closed:
            yield Problem("unknown_field", f"There is no field {name} here.", field=f"{field}.{name}", node=node)
        else:
            schema = (inner or expected.values).schema
            yield from _value(item, schema, expected.root, node, f"{field}.{name}", checker)


def _array(
    value: list[Any] | tuple[Any, ...], expected: Shape, node: str, field: str, checker: ExpressionChecker
) -> Iterator[Problem]:
    if expected.kind not in ("array", "any"):
        yield from value_problems([], expected.schema, expected.root, field, node)
        return
    fewest, most = expected.schema.get("minItems", 0), expected.schema.get("maxItems", len(value))
    if not fewest <= len(value) <= most:
        yield Problem("wrong_length", f"This must have {fewest} to {most} entries.", field=field, node=node)
    schema = expected.items.schema
    for place, item in enumerate(value):
        yield from _value(item, schema, expected.root, node, f"{field}.{place}", checker)


def _option(expected: Shape, kind: str) -> Shape:
    """The alternative of a union that is of this kind."""
    return next((option for option in expected.options if option.kind == kind), expected)
