"""Workflows to begin with: what the tutorial draws, the demonstration runs and the page for a new workflow offers.

Each is a JSON file here. What people read in it stands in both languages; a copy is made in one of them.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

LANGUAGES = ("en", "fr")
# What they expect among a client's variables.
VARIABLES = ("country", "workstation_image")


class Template(BaseModel):
    """A workflow to begin with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    order: int
    name: dict[str, str]
    summary: dict[str, str]
    document: dict[str, Any]

    def shown(self) -> dict[str, Any]:
        """What the page that offers it needs."""
        return {"id": self.id, "name": self.name, "summary": self.summary}

    def document_in(self, language: str) -> dict[str, Any]:
        """The document as it is copied for somebody who reads ``language``; English where that is not one of ours."""
        spoken = language if language in LANGUAGES else LANGUAGES[0]
        named = {"name": self.name, "description": self.summary, **self.document}
        found: dict[str, Any] = _said(named, spoken)
        return found


def _said(value: Any, language: str) -> Any:
    """``value`` with each pair of texts replaced by the one in ``language``."""
    if isinstance(value, list):
        return [_said(item, language) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == set(LANGUAGES):
        return value[language]
    return {key: _said(item, language) for key, item in value.items()}


@cache
def templates() -> tuple[Template, ...]:
    """Every template, in the order in which they are offered."""
    files = sorted(Path(__file__).parent.glob("*.json"))
    found = [Template(id=path.stem, **json.loads(path.read_text(encoding="utf-8"))) for path in files]
    return tuple(sorted(found, key=lambda template: template.order))


def documents(language: str = "en") -> list[dict[str, Any]]:
    """The documents of all of them."""
    return [template.document_in(language) for template in templates()]
