"""Texts with ``{{ expression }}`` in them, taken apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

OPEN, CLOSE = "{{", "}}"
MAX_TEMPLATES = 200
_QUOTES = ("'''", '"""', "'", '"')


class TemplateError(ValueError):
    """A template is not closed, or there are too many. ``offset`` is the place in the text."""

    def __init__(self, message: str, code: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Template:
    """One expression in a text, without its braces; ``offset`` is where its source begins."""

    expression: str
    offset: int


Part = str | Template


def is_template(value: Any) -> bool:
    """Whether ``value`` is a text with a template in it."""
    return isinstance(value, str) and OPEN in value


def holds_template(value: Any) -> bool:
    """Whether ``value`` is or holds such a text."""
    if isinstance(value, str):
        return OPEN in value
    if isinstance(value, Mapping):
        return any(holds_template(item) for item in value.values())
    return isinstance(value, list | tuple) and any(holds_template(item) for item in value)


@lru_cache(maxsize=8192)
def split(text: str) -> tuple[Part, ...]:
    """The parts of ``text``, in order. Raises TemplateError.

    An expression ends at the first ``}}`` that is in no string, comment or map of its own.
    """
    parts: list[Part] = []
    place = 0
    while (start := text.find(OPEN, place)) >= 0:
        end = _end(text, start + len(OPEN))
        if start > place:
            parts.append(text[place:start])
        inner = text[start + len(OPEN) : end]
        parts.append(Template(inner.strip(), start + len(OPEN) + len(inner) - len(inner.lstrip())))
        place = end + len(CLOSE)
        if len(parts) > 2 * MAX_TEMPLATES:
            raise TemplateError(f"A text may hold at most {MAX_TEMPLATES} expressions.", "too_many_templates", start)
    if place < len(text):
        parts.append(text[place:])
    return tuple(parts)


def whole(text: str) -> Template | None:
    """The template that ``text`` consists of, where it is nothing but one (space around it aside)."""
    parts = [part for part in split(text) if not isinstance(part, str) or part.strip()]
    return parts[0] if len(parts) == 1 and isinstance(parts[0], Template) else None


def as_text(value: Any) -> str:
    """A value as it stands inside a text: nothing for null, JSON for lists and objects."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def _end(text: str, place: int) -> int:
    depth = 0
    start = place
    while place < len(text):
        if depth == 0 and text.startswith(CLOSE, place):
            return place
        letter = text[place]
        if letter in "'\"":
            place = _after_string(text, place)
            continue
        if text.startswith("//", place):
            newline = text.find("\n", place)
            place = len(text) if newline < 0 else newline
            continue
        depth += (letter == "{") - (letter == "}")
        place += 1
    raise TemplateError("An expression is opened with {{ and not closed with }}.", "unclosed_template", start)


def _after_string(text: str, place: int) -> int:
    """The place after the string literal that begins at ``place``."""
    quote = next(quote for quote in _QUOTES if text.startswith(quote, place))
    raw = place > 0 and text[place - 1] in "rR"
    place += len(quote)
    while place < len(text):
        if text[place] == "\\" and not raw:
            place += 2
        elif text.startswith(quote, place):
            return place + len(quote)
        else:
            place += 1
    return place
