"""The words of the step types, for pages that show steps."""

from __future__ import annotations

from typing import Any

from app.engine.core.catalogue import StepInfo
from app.engine.steps.registry import catalogue


def step_words() -> dict[str, dict[str, Any]]:
    """Icon, title and the words of the fields of each step type, by its id."""
    return {
        info.id: {"icon": info.icon, "title": dict(info.title), "fields": _fields(info)}
        for info in catalogue().values()
    }


def _fields(info: StepInfo) -> dict[str, Any]:
    """The titles of the parameters, in their order, as changes speak of the same fields, and of what else they name."""
    properties = info.params_schema.get("properties", {})
    titles = {name: spec["x-title"] for name, spec in properties.items() if "x-title" in spec}
    return titles | {name: dict(words) for name, words in info.field_words.items()}
