"""How many requests somebody may send in a minute."""

from __future__ import annotations

import hashlib

from app.core.errors import TooMany
from app.data import counters

_WINDOW_S = 60.0


async def count(kind: str, subject: str, *, most: int) -> None:
    """Count a request of ``subject`` (a token, a session, an address). Raises TooMany over ``most`` in a minute."""
    hashed = hashlib.sha256(subject.encode("utf-8", "surrogateescape")).hexdigest()
    found = await counters.count(f"rate-{kind}", hashed, window_s=_WINDOW_S)
    if found.count > most:
        wait = max(1, int(found.seconds_left + 0.999))
        raise TooMany(f"Too many requests. Try again in {wait} seconds.", params={"retry_after": wait})
