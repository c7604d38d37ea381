"""A commit that fails: no branch that shared it goes on as if it had been kept."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest

from app.engine.core.document import parse_document
from app.engine.core.events import StepIntended, StepSucceeded
from app.engine.core.graph import compile_graph
from app.engine.core.transitions import fold
from app.engine.runtime.channel import Announcer
from app.engine.runtime.dispatch import Claim, FenceLost
from app.engine.runtime.journal import Journal, JournalLost
from app.engine.runtime.store import Store
from app.engine.runtime.trouble import is_away
from app.engine.steps.registry import catalogue


class _Trouble(Store):
    """A store whose next commits end as told; it counts the events that were kept."""

    def __init__(self, *ends: BaseException | None) -> None:
        self.ends, self.kept = list(ends), 0

    def parameters(self, claim: Claim, events: Any = (), run_patch: Any = None, queue_patch: Any = None) -> Any:
        return (events,)

    async def commit_prepared(self, parameters: tuple[object, ...]) -> int:
        await asyncio.sleep(0.01)
        if (end := self.ends.pop(0)) is not None:
            raise end
        self.kept += len(cast(list[Any], parameters[0]))
        return 0


class _Silent:
    def announce(self, *_: object) -> None:
        pass


def journal(store: Store) -> Journal:
    nodes = [{"id": name, "type": "flow.noop"} for name in ("start", "a", "b")]
    edges = [{"source": "start", "target": name} for name in ("a", "b")]
    document = parse_document({"schema": "opsloom/workflow@1", "name": "Two", "nodes": nodes, "edges": edges})
    begun = [StepIntended("start", attempt=1), StepSucceeded("start", port="next")]
    state = fold(compile_graph(document, catalogue()), begun)
    return Journal(store, Claim(uuid4(), uuid4(), 1, 0), state, 0, cast(Announcer, _Silent()))


async def test_branches_share_a_commit() -> None:
    store = _Trouble(None)
    found = journal(store)
    found.note(StepIntended("a", attempt=1))
    found.note(StepIntended("b", attempt=1))
    await asyncio.gather(found.flush(), found.flush())
    assert (store.kept, store.ends) == (2, [])


async def test_a_branch_does_not_act_on_an_intent_that_was_lost_with_anotherʼs_commit() -> None:
    store = _Trouble(psycopg.OperationalError("the connection is gone"), None, None)
    found = journal(store)
    found.note(StepIntended("a", attempt=1))
    found.note(StepIntended("b", attempt=1))
    first, second = await asyncio.gather(found.flush(), found.flush(), return_exceptions=True)
    assert isinstance(first, JournalLost)
    assert isinstance(second, JournalLost)
    assert is_away(first)
    with pytest.raises(JournalLost):
        await found.flush({"state": "succeeded"})
    assert store.kept == 0


async def test_a_flush_cut_off_in_the_middle_leaves_nothing_to_be_trusted() -> None:
    store = _Trouble(None, None)
    found = journal(store)
    found.note(StepIntended("a", attempt=1))
    cut = asyncio.create_task(found.flush())
    await asyncio.sleep(0)
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    found.note(StepIntended("b", attempt=1))
    with pytest.raises(JournalLost):
        await found.flush()


async def test_a_lost_fence_is_told_as_such() -> None:
    found = journal(_Trouble(FenceLost(), None))
    found.note(StepIntended("a", attempt=1))
    with pytest.raises(FenceLost):
        await found.flush()
    with pytest.raises(JournalLost):
        await found.flush({"state": "running"})
