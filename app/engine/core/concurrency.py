"""Concurrency keys: which runs of a client stand in each other's way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from app.core.errors import Invalid, Problem
from app.engine.core.checking import ExpressionChecker
from app.engine.core.document import Document
from app.engine.core.expressions import ExpressionError, references, render
from app.engine.core.faults import template_error
from app.engine.core.templates import Template, TemplateError, as_text, split
from app.engine.core.values import Scope

MAX_KEY = 500
_FIELD = "concurrency.key"
_KNOWN = ("inputs", "client")


def slot_of(document: Document, inputs: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any] | None:
    """``{"key", "policy", "limit"}`` of a run with these inputs; None where its workflow has no concurrency key.

    Raises Invalid where the key cannot be worked out, is empty or too long.
    """
    rule = document.concurrency
    if rule is None:
        return None
    try:
        key = as_text(render(rule.key, Scope(inputs=inputs, client=variables)))
    except ExpressionError as error:
        raise Invalid("The concurrency key cannot be worked out.", problems=[error.as_problem(field=_FIELD)]) from None
    if not key.strip() or len(key) > MAX_KEY:
        message = f"The concurrency key must have 1 to {MAX_KEY} characters; with these inputs it has {len(key)}."
        raise Invalid(message, code="bad_concurrency_key", problems=[Problem("bad_concurrency_key", message, _FIELD)])
    return {"key": key, "policy": rule.policy, "limit": rule.limit}


def key_problems(document: Document, checker: ExpressionChecker) -> Iterator[Problem]:
    """What is wrong with a document's concurrency key: it may use inputs and the client's variables only."""
    if document.concurrency is None:
        return
    key = document.concurrency.key
    try:
        parts = [part for part in split(key) if isinstance(part, Template)]
        roots = sorted({root for part in parts for root, _ in references(part.expression)} - set(_KNOWN))
    except TemplateError as error:
        yield template_error(error, key).as_problem(field=_FIELD)
        return
    except ExpressionError as error:
        yield error.as_problem(field=_FIELD)
        return
    for root in roots:
        message = f"{root} is not known yet when a run is started; a concurrency key uses inputs and client."
        yield Problem("unknown_name", message, field=_FIELD, params={"name": root})
    if not roots:
        for part in parts:
            for problem in checker.check(part.expression, "", _FIELD, None):
                yield replace(problem, node=None)
