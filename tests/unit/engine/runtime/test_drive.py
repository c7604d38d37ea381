"""What a walk hears while it goes on: that a commit behind it went wrong, and what time it is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from app.engine.core.document import parse_document
from app.engine.core.events import StepIntended
from app.engine.core.graph import compile_graph
from app.engine.core.transitions import fold
from app.engine.runtime.channel import Announcer
from app.engine.runtime.clock import DatabaseClock
from app.engine.runtime.dispatch import Claim, FenceLost
from app.engine.runtime.drive import Drive
from app.engine.runtime.engine import Engine
from app.engine.runtime.journal import Journal
from app.engine.runtime.perform import Performer
from app.engine.runtime.record import Record
from app.engine.runtime.stage import Stage
from app.engine.runtime.store import Store
from app.engine.steps.registry import catalogue

CLAIM = Claim(uuid4(), uuid4(), 1, 0)


class Lost(Store):
    """A store that learns with its next commit that another worker has the run."""

    def __init__(self) -> None:
        pass

    def parameters(self, *_: Any) -> Any:
        return None

    async def commit_prepared(self, _: Any) -> int:
        await asyncio.sleep(0.01)
        raise FenceLost


async def test_a_lost_fence_ends_the_wait_for_a_long_look() -> None:
    step = {"id": "look", "type": "flow.noop"}
    document = parse_document({"schema": "opsloom/workflow@1", "name": "One", "nodes": [step]})
    state = fold(compile_graph(document, catalogue()), [])
    journal = Journal(Lost(), CLAIM, state, 0, cast(Announcer, SimpleNamespace(announce=lambda *_: None)))
    stage = cast(Stage, SimpleNamespace(record=None))
    performer = cast(Performer, SimpleNamespace(journal=journal, stage=stage, asked=False))
    drive = Drive(cast(Engine, None), CLAIM, stage, journal, performer)
    look = asyncio.create_task(asyncio.sleep(60))
    drive._tasks[look] = "look"
    journal.note(StepIntended("look", attempt=1))
    await journal.flush_behind()
    with pytest.raises(FenceLost):
        await asyncio.wait_for(drive._wait_for_something(), 5)
    assert not look.done()
    look.cancel()


async def test_the_databaseʼs_time_is_renewed_with_each_look() -> None:
    """A machine's clock may drift in a walk of days."""
    document = parse_document(
        {"schema": "opsloom/workflow@1", "name": "One", "nodes": [{"id": "n", "type": "flow.noop"}]}
    )
    state = fold(compile_graph(document, catalogue()), [])
    journal = Journal(Lost(), CLAIM, state, 0, cast(Announcer, SimpleNamespace(announce=lambda *_: None)))
    read = DatabaseClock(datetime(2026, 5, 4, 12, tzinfo=UTC))
    record = SimpleNamespace(run={"extra": {}}, approvals=(), cancel_asked=False, pause_asked=False, clock=read)
    stage = cast(Stage, SimpleNamespace(record=record))
    performer = cast(Performer, SimpleNamespace(journal=journal, stage=stage, clock=None, now=read.now))
    await Drive(cast(Engine, None), CLAIM, stage, journal, performer)._heed(cast(Record, record))
    assert performer.clock is read
