"""What a form asks people for, checked while drawing. It never asks for a secret: answers are kept with the run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from app.core.errors import Problem
from app.engine.core.catalogue import StepInfo
from app.engine.core.document import Node
from app.engine.core.environment import ascii_text
from app.engine.core.inputs import check_inputs
from app.engine.core.schema_check import schema_problem
from app.engine.core.shapes import Schema
from app.engine.core.templates import holds_template

MAX_FIELDS = 100
_SECRET = re.compile(
    r"(^|[^a-z])(password|passwd|passphrase|passwort|mot de passe|motdepasse|secret|token|api ?key|apikey|private ?key|"
    r"cle privee|otp|pin|credential|credentials)([^a-z]|$)"
)


def form_problems(node: Node, info: StepInfo) -> Iterator[Problem]:
    """Everything wrong with the fields that ``node`` asks for, and with the answer it takes when nobody gives one."""
    if info.output_from is None:
        return
    field = f"params.{info.output_from}"
    fields = node.params.get(info.output_from)
    if not isinstance(fields, Mapping):
        return  # the schema of the parameters says so
    found = [*_field_problems(fields, field, node.id)]
    yield from found
    default = node.params.get("default")
    if (
        not found
        and info.counts("default", node.params)
        and isinstance(default, Mapping)
        and not holds_template(default)
    ):
        _, problems = check_inputs(fields, default, "params.default")
        yield from (replace(problem, node=node.id) for problem in problems)


def _field_problems(fields: Schema, field: str, node: str) -> Iterator[Problem]:
    properties = fields.get("properties")
    if fields.get("type", "object") != "object" or not isinstance(properties, Mapping) or not properties:
        yield Problem("form_without_fields", "The form asks for nothing.", field=field, node=node)
        return
    if len(properties) > MAX_FIELDS:
        message = f"A form has at most {MAX_FIELDS} fields."
        yield Problem("form_too_long", message, field=field, node=node, params={"limit": MAX_FIELDS})
    wrong = schema_problem(fields)
    if wrong is not None:
        yield Problem("bad_form", f"The fields are no valid JSON schema: {wrong[0]}.", field=field, node=node)
        return
    for name in secrets_in(fields):
        message = f"{name} looks like a secret. A form's answer is kept with the run; give secrets to a connection."
        yield Problem("form_secret", message, field=field, node=node, params={"name": name})


def secrets_in(fields: Any, prefix: str = "") -> list[str]:
    """Names of the fields that ask for a secret, by their format or by their words, at any depth."""
    properties = fields.get("properties") if isinstance(fields, Mapping) else None
    found: list[str] = []
    for name, spec in (properties or {}).items() if isinstance(properties, Mapping) else ():
        spec = spec if isinstance(spec, Mapping) else {}
        if _is_secret(str(name), spec):
            found.append(f"{prefix}{name}")
        found.extend(secrets_in(spec, f"{prefix}{name}."))
        found.extend(secrets_in(spec.get("items"), f"{prefix}{name}."))
    return found


def _is_secret(name: str, spec: Mapping[str, Any]) -> bool:
    if spec.get("format") == "password" or spec.get("writeOnly") is True or spec.get("x-widget") == "secret":
        return True
    return any(_SECRET.search(_plain(words)) for words in (name, spec.get("title")) if isinstance(words, str))


def _plain(words: str) -> str:
    """Words in lower case without accents, apart where case, signs and underscores part them."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", ascii_text(words))
    return re.sub(r"[^a-z]+", " ", apart.lower())
