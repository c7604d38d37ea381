"""The words of the step types, for pages that show steps."""

from __future__ import annotations

from functools import cache
from typing import Any

from app.engine.core.catalogue import StepInfo
from app.engine.steps.registry import catalogue


def step_words() -> dict[str, dict[str, Any]]:
    """Icon, title and the words of the fields of each step type, by its id."""
    return {
        info.id: {"icon": info.icon, "title": dict(info.title), "fields": _fields(info)}
        for info in catalogue().values()
    }


@cache
def thing_words(kind: str) -> dict[str, Any]:
    """The words of the fields of one kind of thing (``m365.user``), as all that changes it names them."""
    found: dict[str, Any] = {}
    for info in catalogue().values():
        if info.writes and info.id.rpartition(".")[0] == kind:
            found |= {name: words for name, words in _fields(info).items() if name not in found}
    return found


def _fields(info: StepInfo) -> dict[str, Any]:
    """The titles of the parameters, in their order, as changes speak of the same fields, and of what else they name."""
    properties = info.params_schema.get("properties", {})
    titles = {name: spec["x-title"] for name, spec in properties.items() if "x-title" in spec}
    return titles | {name: dict(words) for name, words in info.field_words.items()}
