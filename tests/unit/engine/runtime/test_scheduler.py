"""What goes wrong in one of the scheduler's tasks keeps it from no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest

from app.data import doors
from app.engine.runtime import scheduler


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the scheduler did; making months fails."""
    found: list[str] = []

    async def partitions(_: Any) -> int:
        raise psycopg.errors.CheckViolation

    async def reap(_: Any) -> Any:
        found.append("reaped")
        return SimpleNamespace(runs=1, workers=1)

    async def timers(_: Any) -> Any:
        return SimpleNamespace(promoted=0)

    monkeypatch.setattr(doors, "maintain_partitions", partitions)
    monkeypatch.setattr(doors, "reap_dead_workers", reap)
    monkeypatch.setattr(doors, "due_timers", timers)
    return found


def connection(*, closed: bool) -> psycopg.AsyncConnection:
    return cast(psycopg.AsyncConnection, SimpleNamespace(closed=closed))


async def test_a_month_that_cannot_be_made_stops_nothing(done: list[str]) -> None:
    async def wake() -> None:
        done.append("woken")

    await scheduler._lead(connection(closed=False), wake, 0)
    assert done == ["reaped", "woken"]


async def test_a_lost_connection_is_no_trouble_of_a_month(done: list[str]) -> None:
    async def wake() -> None: ...

    with pytest.raises(psycopg.Error):
        await scheduler._lead(connection(closed=True), wake, 0)
    assert done == []
