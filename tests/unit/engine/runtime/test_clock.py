"""The database's clock, counted on by one that nobody sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.engine.runtime import clock
from app.engine.runtime.clock import DatabaseClock

TOLD = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_it_counts_by_the_monotonic_clock_from_when_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = DatabaseClock(TOLD, at=1000.0)
    for ticked in (0.0, 90.5):
        monkeypatch.setattr(clock, "monotonic", lambda ticked=ticked: 1000.0 + ticked)
        assert told.now() == TOLD + timedelta(seconds=ticked)


def test_it_was_told_now_where_nobody_says_when() -> None:
    before = DatabaseClock(TOLD).now() - TOLD
    assert timedelta(0) <= before < timedelta(seconds=1)
