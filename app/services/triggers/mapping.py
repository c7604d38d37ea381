"""The inputs of a run that starts by itself: static values, and expressions over what was sent or has happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.core.errors import Invalid, Problem
from app.engine.core.document import Excess, excess
from app.engine.core.expressions import PAYLOAD_ROOTS, compile_expression, render
from app.engine.core.faults import ExpressionError, template_error
from app.engine.core.schema_check import value_problems
from app.engine.core.templates import Template, TemplateError, holds_template, is_template, split
from app.engine.core.values import Scope

Json = dict[str, Any]
MAX_INPUT_BYTES = 256_000


def render_inputs(inputs: Mapping[str, Any], payload: Any, variables: Mapping[str, Any]) -> Json:
    """The inputs with their expressions filled in. Raises Invalid naming the input whose expression failed."""
    try:
        found: Json = render(dict(inputs), Scope(payload=payload, client=variables))
    except ExpressionError as error:
        problem = error.as_problem(field=f"inputs.{error.field}" if error.field else "inputs")
        raise Invalid("The payload does not fit.", code="payload_unfit", problems=[problem]) from None
    return found


def require_good_inputs(inputs: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raise Invalid for what can be seen to be wrong before anything is sent: names that the workflow does not have,
    required ones that are missing, static values of another type, expressions that cannot be read."""
    if found := excess(dict(inputs), MAX_INPUT_BYTES):
        raise excessive(found, "inputs", MAX_INPUT_BYTES)
    problems = [*_names(inputs, schema), *_values(inputs, schema), *_expressions(inputs, "inputs")]
    if problems:
        raise Invalid("Some inputs are not right.", code="inputs_invalid", problems=problems)


def excessive(found: Excess, field: str, limit: int) -> Invalid:
    """What is wrong with ``field``, which :func:`excess` was asked about."""
    message = f"This is larger than {limit} bytes, or nested too deeply."
    problem = Problem("too_large", message, field=field)
    if found == "number":
        message = "This holds a number that is not finite or too large; give it as a text."
        problem = Problem("bad_number", message, field=field)
    return Invalid(message, problems=[problem])


def _names(inputs: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Problem]:
    known = schema.get("properties", {})
    for name in inputs:
        if name not in known:
            yield Problem("unknown_param", f"There is no input called {name}.", field=f"inputs.{name}")
    for name in schema.get("required", ()):
        if name not in inputs and "default" not in known.get(name, {}):
            yield Problem("missing_param", f"{name} is missing.", field=f"inputs.{name}")


def _values(inputs: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Problem]:
    known = schema.get("properties", {})
    for name, value in inputs.items():
        if name in known and not holds_template(value):
            yield from value_problems(value, known[name], schema, f"inputs.{name}")


def _expressions(value: Any, field: str) -> Iterator[Problem]:
    if is_template(value):
        yield from _problems_of(value, field)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _expressions(inner, f"{field}.{name}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _expressions(inner, f"{field}.{place}")


def _problems_of(text: str, field: str) -> Iterator[Problem]:
    try:
        for part in split(text):
            if isinstance(part, Template):
                compile_expression(part.expression, PAYLOAD_ROOTS)
    except TemplateError as error:
        yield template_error(error, text).as_problem(field=field)
    except ExpressionError as error:
        yield error.as_problem(field=field)
