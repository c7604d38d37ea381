"""The database's time, asked for once and counted on from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic


@dataclass(frozen=True)
class DatabaseClock:
    """``told`` is what the database's clock showed, ``at`` the monotonic clock (seconds) when we heard of it.

    Somebody may set the machine's time of day while a run is walked; deadlines must not move with it, and nobody sets
    the monotonic clock, which also goes on while the process is stopped. What was told has been a little on its way, so
    that this clock is late by that and never early: nothing runs out before its time.
    """

    told: datetime
    at: float = field(default_factory=monotonic)

    def now(self) -> datetime:
        """The time by the database's clock."""
        return self.told + timedelta(seconds=monotonic() - self.at)
