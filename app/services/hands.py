"""Who had a hand in what a run does, besides the author of its version: they may not approve it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

Json = dict[str, Any]


def handed_on(extra: Json, started_by: UUID | None, *more: UUID | None) -> Json:
    """The part of ``extra`` by which a run knows them that is made of the run with this ``extra``: who wrote the
    trigger that started that, who edited an output or filled in a form that it goes on with, whose draft it is, and
    ``more``."""
    known = [*extra.get("hands", ()), *(extra.get("trigger") or {}).get("people", ())]
    drew = started_by if "document" in extra else None
    return hands(*map(UUID, known), drew, *more)


def hands(*people: UUID | None) -> Json:
    """The part of ``extra`` that names ``people``."""
    found = sorted({str(person) for person in people if person})
    return {"hands": found} if found else {}
