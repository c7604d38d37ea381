"""Who had a hand in what a run does, besides the author of its version: they may not approve it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.data.models.runs import Run

Json = dict[str, Any]


def handed_on(first: Run, *more: UUID | None) -> Json:
    """The part of ``extra`` by which a run that is made of ``first`` knows them: who wrote the trigger that started
    that, who edited an output that it goes on with, whose draft it is, and ``more``."""
    known = [*first.extra.get("hands", ()), *(first.extra.get("trigger") or {}).get("people", ())]
    drew = first.started_by if "document" in first.extra else None
    return hands(*map(UUID, known), drew, *more)


def hands(*people: UUID | None) -> Json:
    """The part of ``extra`` that names ``people``."""
    found = sorted({str(person) for person in people if person})
    return {"hands": found} if found else {}
