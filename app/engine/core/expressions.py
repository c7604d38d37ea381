"""Templates and expressions (CEL) at run time: rendering parameters, deciding conditions."""

from __future__ import annotations

import base64
import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from html import escape
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped, unused-ignore]

from app.engine.core.catalogue import StepInfo
from app.engine.core.cost import Cost, bound, can_grow, measure, too_much
from app.engine.core.document import Node
from app.engine.core.environment import new_environment
from app.engine.core.faults import ExpressionError, costly, library_error, template_error
from app.engine.core.syntax import Reference, Tree, is_plain, parse
from app.engine.core.syntax import references as tree_references
from app.engine.core.templates import Template, TemplateError, as_text, is_template, split, whole
from app.engine.core.values import ABSENT, Scope, Unknown

__all__ = ["ExpressionError", "evaluate", "evaluate_bool", "references", "render", "render_params"]

MAX_EXPRESSION = 4096
_FEW_SUMS = 8
ROOTS = ("inputs", "steps", "client", "run", "item", "index", "found")
IN_LOOPS = frozenset({"item", "index"})
_HERE_AND_THERE = IN_LOOPS | {"found"}  # known in a loop, and in what a waiting step looks for
# What the inputs of a run that starts by itself are made from.
PAYLOAD_ROOTS = ("payload", "client")


@dataclass(frozen=True)
class Program:
    """A compiled expression with what it refers to.

    ``guarded``: its cost is looked at before each evaluation. ``plain``: it is a path and nothing else, as most are; it
    is then followed here, and the value comes through as it is.
    """

    expression: str
    tree: Tree
    references: tuple[Reference, ...]
    guarded: bool
    plain: bool
    compiled: Any


def render(value: Any, scope: Scope) -> Any:
    """``value`` with its templates filled in, at any depth.

    A text that is one template keeps the value's type; a text around templates becomes a text. What touches an unknown
    is an :class:`Unknown` with its source. Raises ExpressionError, with ``field`` set to the dotted path.
    """
    if isinstance(value, str):
        return _render_text(value, scope) if is_template(value) else value
    if isinstance(value, Mapping):
        return {key: _render_at(str(key), item, scope) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_render_at(str(place), item, scope) for place, item in enumerate(value)]
    return value


def render_params(node: Node, info: StepInfo, scope: Scope) -> dict[str, Any]:
    """The node's parameters, rendered. Parameters that are expressions themselves (conditions) stay as written.

    In one that is HTML, what expressions put between other signs is text: whoever fills in a form or sends a webhook
    must not write links into what others are sent.
    """
    bare = {*info.expressions, info.ports_from}
    return {
        name: value if name in bare else _render_at(name, value, scope, info.markup(name))
        for name, value in node.params.items()
        if info.counts(name, node.params)
    }


def evaluate(expression: str, scope: Scope) -> Any:
    """The value of a bare expression as JSON (or an Unknown). Raises ExpressionError."""
    program = compile_expression(expression, roots_of(scope))
    data, unknown = _visible(program, scope)
    if unknown:
        return Unknown(program.expression)
    if program.plain:
        return _followed(program, data, scope)
    if program.guarded:
        _refuse_costly(program, data)
    try:
        value = program.compiled.eval(data=data)
        if value.type() == cel.Type.ERROR:
            raise _failure(program, str(value.value()), scope)
        return _as_json(value.plain_value(), program.expression)
    except RuntimeError as error:
        raise _failure(program, str(error), scope) from None
    except (UnicodeError, TypeError):
        message = "A text here is not valid Unicode."
        raise ExpressionError(message, code="not_text", expression=program.expression) from None


def evaluate_bool(expression: str, scope: Scope) -> bool | Unknown:
    """The truth of a bare expression. Raises ExpressionError when it is not a bool."""
    value = evaluate(expression, scope)
    if isinstance(value, bool | Unknown):
        return value
    message = f"This must be true or false, but it is {_kind(value)}."
    raise ExpressionError(message, code="not_a_condition", expression=expression)


def references(expression: str) -> frozenset[Reference]:
    """What a bare expression refers to, as (root, fields). Raises ExpressionError where it cannot be read."""
    return tree_references(syntax_of(expression))


def syntax_of(expression: str) -> Tree:
    """The syntax tree of a bare expression. Raises ExpressionError with line and column."""
    if len(expression) > MAX_EXPRESSION:
        message = f"An expression may be at most {MAX_EXPRESSION} characters long; this one has {len(expression)}."
        raise ExpressionError(message, code="expression_too_long", expression=expression[:80], limit=MAX_EXPRESSION)
    if not expression.strip():
        raise ExpressionError("The expression is empty.", code="empty_expression", expression="")
    try:
        return parse(expression)
    except (UnicodeError, TypeError):  # the binding takes no text that is not Unicode
        raise ExpressionError("The expression is not valid Unicode.", code="not_text", expression="") from None
    except RuntimeError as error:
        raise library_error(expression, str(error)) from None


@lru_cache(maxsize=8192)
def compile_expression(expression: str, roots: tuple[str, ...] = ROOTS) -> Program:
    """A program for ``expression``, kept for the next time. Raises ExpressionError.

    Types are not looked at here: validation has checked them against what the steps declare, and at run time the values
    have their own.
    """
    tree = syntax_of(expression)
    found = tree_references(tree)
    for root, path in found:
        refuse_misnamed(expression, root, path, roots)
    try:
        compiled = _environment(roots).compile(expression)
    except RuntimeError as error:
        raise library_error(expression, str(error)) from None
    guarded = can_grow(tree) or expression.count("+") > _FEW_SUMS
    return Program(expression, tree, tuple(sorted(found)), guarded, is_plain(tree), compiled)


def roots_of(scope: Scope) -> tuple[str, ...]:
    """What expressions may refer to in ``scope``."""
    return ROOTS if scope.payload is ABSENT else PAYLOAD_ROOTS


def refuse_misnamed(expression: str, root: str, path: tuple[str, ...], roots: tuple[str, ...] = ROOTS) -> None:
    """Raise ExpressionError unless the reference begins with a root, and ``steps`` with a step's output."""
    if root not in roots:
        named = ", ".join(name for name in roots if name not in _HERE_AND_THERE)
        message = f"There is nothing called {root} here; an expression begins with {named}."
        raise ExpressionError(message, code="unknown_name", expression=expression, name=root)
    if root == "steps" and (len(path) < 2 or path[1] != "output"):
        message = "A step is referred to as steps.<id>.output."
        raise ExpressionError(message, code="bad_step_reference", expression=expression)


def only_in_loops(root: str, expression: str) -> ExpressionError:
    """What to say of ``item`` and ``index`` outside a loop."""
    return ExpressionError(f"{root} is known only inside a loop.", code="no_item", expression=expression, name=root)


def nothing_found(expression: str) -> ExpressionError:
    """What to say of ``found`` where nothing is read."""
    message = "found is known only in what a waiting step looks for."
    return ExpressionError(message, code="nothing_found", expression=expression)


def _render_at(name: str, value: Any, scope: Scope, markup: bool = False) -> Any:
    try:
        if markup and isinstance(value, str) and is_template(value):
            return _render_text(value, scope, markup=True)
        return render(value, scope)
    except ExpressionError as error:
        error.field = name if error.field is None else f"{name}.{error.field}"
        raise


def _render_text(text: str, scope: Scope, *, markup: bool = False) -> Any:
    try:
        only, parts = whole(text), split(text)
    except TemplateError as error:
        raise template_error(error, text) from None
    if only is not None:
        return evaluate(only.expression, scope)
    values = [evaluate(part.expression, scope) if isinstance(part, Template) else part for part in parts]
    if any(isinstance(value, Unknown) for value in values):
        return Unknown(text)
    if not markup:
        return "".join(as_text(value) for value in values)
    kept = (isinstance(part, str) for part in parts)
    return "".join(as_text(value) if own else escape(as_text(value)) for own, value in zip(kept, values, strict=True))


def _visible(program: Program, scope: Scope) -> tuple[dict[str, Any], bool]:
    """What the program refers to, and nothing else of the scope; whether any of it is unknown.

    The library converts all it is given before it evaluates, so a list of 5,000 users that is not looked at must not
    be given.
    """
    data: dict[str, Any] = {}
    for root, path in program.references:
        if root in IN_LOOPS and getattr(scope, root) is ABSENT:
            raise only_in_loops(root, program.expression)
        if root == "found" and scope.found is ABSENT:
            raise nothing_found(program.expression)
        if root == "steps":
            unknown = _copy_output(program, scope, data, path)
        else:
            unknown = _copy(getattr(scope, root), data, root, path)
        if unknown:
            return {}, True
    return data, False


def _copy_output(program: Program, scope: Scope, data: dict[str, Any], path: tuple[str, ...]) -> bool:
    step, _, *fields = path
    try:
        output = scope.steps[step]
    except KeyError:
        message = f"There is no step {step}."
        raise ExpressionError(message, code="unknown_step", expression=program.expression, step=step) from None
    return _copy(output, data.setdefault("steps", {}).setdefault(step, {}), "output", tuple(fields))


def _copy(source: Any, target: dict[str, Any], key: str, path: tuple[str, ...]) -> bool:
    """Put the value at ``path`` of ``source`` into ``target``, with the objects on the way; whether it is unknown.

    References come sorted, so that a whole object is copied before one of its fields is asked for.
    """
    for field in path:
        if isinstance(source, Unknown):
            return True
        if not isinstance(source, Mapping):
            break
        inner = target.setdefault(key, {})
        if inner is source:
            return False
        if field not in source:
            return False
        target, key, source = inner, field, source[field]
    if _holds_unknown(source):
        return True
    target[key] = dict(source) if isinstance(source, Mapping) and not isinstance(source, dict) else source
    return False


def _holds_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_unknown(item) for item in value)
    return isinstance(value, Unknown)


def _followed(program: Program, data: Mapping[str, Any], scope: Scope) -> Any:
    """The value at the end of a plain path, with the failures that the library would give."""
    root, path = program.references[0]
    value: Any = data.get(root)
    for name in path:
        if not isinstance(value, Mapping):
            raise _failure(program, "Applying SELECT to non-message type", scope)
        if name not in value:
            raise _failure(program, f'Key not found in map : "{name}"', scope)
        value = value[name]
    return value


def _refuse_costly(program: Program, data: Mapping[str, Any]) -> None:
    measured: dict[int, Cost] = {}

    def size(reference: Reference) -> Cost:
        value: Any = data.get(reference[0])
        for field in reference[1]:
            value = value.get(field) if isinstance(value, Mapping) else None
        return measured.setdefault(id(value), measure(value))

    if too_much(bound(program.tree, size)):
        raise costly(program.expression)


_MISSING_KEY = re.compile(r'Key not found in map : "(?P<key>.*)"')


def _failure(program: Program, words: str, scope: Scope) -> ExpressionError:
    """A failed evaluation in words that say what to look at."""
    if "udget exceeded" in words:
        return costly(program.expression)
    missing = _MISSING_KEY.search(words)
    skipped = [path[0] for root, path in program.references if root == "steps" and scope.steps.get(path[0]) is None]
    if skipped and (missing or "non-message" in words or "o matching overload" in words):
        message = (
            f"{skipped[0]} gave no output: it was skipped or failed. Test steps.{skipped[0]}.output != null first."
        )
        return ExpressionError(message, code="no_output", expression=program.expression, step=skipped[0])
    if missing:
        message = f"There is no field {missing['key']} here."
        return ExpressionError(message, code="missing_field", expression=program.expression, name=missing["key"])
    if "non-message" in words:
        message = "Something before a dot is null or has no fields."
        return ExpressionError(message, code="no_fields", expression=program.expression)
    reason = words.partition(": ")[2].splitlines()[0] if ": " in words else words
    message = f"The expression failed: {reason}"
    return ExpressionError(message, code="expression_failed", expression=program.expression)


def _as_json(value: Any, expression: str) -> Any:
    """A CEL value as JSON: times in RFC 3339, durations in seconds ("90s"), bytes in base64."""
    match value:
        case None | bool() | str() | int():
            return value
        case float():
            if math.isfinite(value):
                return value
            raise ExpressionError("The result is not a finite number.", code="not_json", expression=expression)
        case list():
            return [_as_json(item, expression) for item in value]
        case dict():
            return {_key(key, expression): _as_json(item, expression) for key, item in value.items()}
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        case dt.timedelta():
            return f"{as_text(value.total_seconds())}s"
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case _:
            message = f"The result ({type(value).__name__}) is nothing that a parameter can hold."
            raise ExpressionError(message, code="not_json", expression=expression)


def _key(key: Any, expression: str) -> str:
    if isinstance(key, str):
        return key
    raise ExpressionError("The keys of a map must be texts.", code="not_json", expression=expression)


def _kind(value: Any) -> str:
    kinds = {type(None): "null", str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return kinds.get(type(value), "something else")


@cache
def _environment(roots: tuple[str, ...]) -> Any:
    return new_environment(dict.fromkeys(roots, cel.Type.DYN))
