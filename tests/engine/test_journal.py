"""Commits that fail or take their time: nobody goes on as if what was not kept had been."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
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
    assert is_away(second), "it says as well why"
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
    for _ in range(2):
        with pytest.raises(FenceLost):
            await found.flush({"state": "running"})


class _Slow(Store):
    """A store whose commits wait until they are let through; it keeps the kinds of each commit's events."""

    def __init__(self) -> None:
        self.sent, self.kept = 0, list[list[str]]()
        self._through = asyncio.Semaphore(0)

    def let_through(self) -> None:
        self._through.release()

    def parameters(self, claim: Claim, events: Any = (), run_patch: Any = None, queue_patch: Any = None) -> Any:
        return [f"{event.kind} {event.node}" for _, event in events]

    async def commit_prepared(self, parameters: Any) -> int:
        await asyncio.sleep(0)  # as others may join
        self.sent += 1
        await self._through.acquire()
        self.kept.append(parameters)
        return 0


async def _a_moment() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_walk_is_at_most_one_commit_ahead_of_the_database() -> None:
    store = _Slow()
    found = journal(store)
    found.note(StepIntended("a", attempt=1))
    await found.flush_behind()
    assert (store.sent, store.kept) == (1, []), "it is sent before the walk goes on"
    found.note(StepSucceeded("a", port="next"))
    found.note(StepIntended("b", attempt=1))
    second = asyncio.create_task(found.flush_behind())
    await _a_moment()
    assert (store.sent, second.done()) == (1, False)
    store.let_through()
    await second
    assert (store.sent, store.kept) == (2, [["intended a"]])
    settled = asyncio.create_task(found.settle())
    await _a_moment()
    assert not settled.done()
    store.let_through()
    await settled
    assert store.kept == [["intended a"], ["succeeded a", "intended b"]]
    await found.flush()
    assert store.sent == 2, "all of it is kept"


async def test_a_flush_waits_for_what_is_behind() -> None:
    store = _Slow()
    found = journal(store)
    found.note(StepIntended("a", attempt=1))
    await found.flush_behind()
    found.note(StepIntended("b", attempt=1))
    flushed = asyncio.create_task(found.flush())
    store.let_through()
    await _a_moment()
    assert (store.sent, flushed.done()) == (2, False)
    store.let_through()
    await flushed
    assert store.kept == [["intended a"], ["intended b"]]


@pytest.mark.parametrize("goes_on", [Journal.flush, Journal.flush_behind, Journal.settle])
@pytest.mark.parametrize("early", [True, False], ids=["known", "under way"])
async def test_whoever_comes_next_is_told_what_went_wrong_behind(
    goes_on: Callable[[Journal], Awaitable[None]], early: bool
) -> None:
    store = _Trouble(FenceLost(), None)
    found = journal(store)
    found.note(StepIntended("a", attempt=1))
    await found.flush_behind()
    if early:
        await asyncio.sleep(0.05)
    found.note(StepSucceeded("a", port="next"))
    with pytest.raises(FenceLost):
        await goes_on(found)
    await found.abandon()
    assert store.kept == 0


async def test_a_walk_that_is_over_leaves_nothing_under_way() -> None:
    store = _Slow()
    found = journal(store)
    found.note(StepIntended("a", attempt=1))
    await found.flush_behind()
    ahead = asyncio.create_task(found.flush_behind())
    await _a_moment()
    ahead.cancel()
    await asyncio.gather(ahead, return_exceptions=True)
    await found.abandon()
    store.let_through()
    await _a_moment()
    assert store.kept == []
    with pytest.raises(JournalLost):
        await found._flush({"state": "succeeded"})


async def test_a_commit_goes_on_though_one_who_waited_for_it_does_not() -> None:
    store = _Slow()
    found = journal(store)
    found.note(StepIntended("a", attempt=1))
    await found.flush_behind()
    waiting = asyncio.create_task(found.settle())
    await _a_moment()
    waiting.cancel()
    store.let_through()
    await found.settle()
    assert store.kept == [["intended a"]]
