"""How long whoever takes a run over leaves the calls of its former worker alone, and how often it looks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.engine.core.document import parse_document
from app.engine.core.events import Event, StepIntended, StepSucceeded
from app.engine.core.graph import compile_graph
from app.engine.core.state import RunState
from app.engine.core.transitions import fold
from app.engine.runtime import recovery
from app.engine.runtime.recovery import calls_left_s, find_out, patiently
from app.engine.steps.registry import catalogue
from connectors.base import Applied, Attempt, Change
from connectors.errors import OutcomeUnknown, Retryable, Throttled

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def under_way(*events: Event) -> RunState:
    """A run of two steps in parallel, after ``events``."""
    nodes = [{"id": name, "type": "flow.noop"} for name in ("begin", "first", "second")]
    edges = [{"source": "begin", "target": target} for target in ("first", "second")]
    document = parse_document({"schema": "opsloom/workflow@1", "name": "Two", "nodes": nodes, "edges": edges})
    begun = [StepIntended("begin", attempt=1), StepSucceeded("begin", port="next")]
    return fold(compile_graph(document, catalogue()), [*begun, *events])


def intended(node: str, left_s: float | None) -> StepIntended:
    deadline = (NOW + timedelta(seconds=left_s)).isoformat() if left_s is not None else None
    return StepIntended(node, attempt=1, key="key", deadline=deadline)


def test_the_latest_call_of_a_worker_presumed_dead_is_waited_for() -> None:
    state = under_way(intended("first", 20), intended("second", 7.5))
    assert calls_left_s(state, "lapsed", NOW) == 20
    assert calls_left_s(state, "lapsed", NOW + timedelta(seconds=19)) == 1


@pytest.mark.parametrize("abandoned", ["ended", None])
def test_a_worker_gone_for_certain_sends_nothing_more(abandoned: str | None) -> None:
    assert calls_left_s(under_way(intended("first", 20)), abandoned, NOW) is None


@pytest.mark.parametrize(
    "events",
    [
        (),
        (intended("first", -0.5),),
        (intended("first", 0),),
        (intended("first", None),),
        (intended("first", 20), StepSucceeded("first", port="next")),
    ],
    ids=["nothing begun", "past", "just over", "a read", "answered"],
)
def test_nothing_is_waited_for_where_no_call_can_be_on_its_way(events: tuple[Event, ...]) -> None:
    assert calls_left_s(under_way(*events), "lapsed", NOW) is None


class Busy:
    """A platform that says so many times that it is busy, and then what it did."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    async def recover(self, change: Change, attempt: Attempt) -> Applied | None:
        if self._errors:
            raise self._errors.pop(0)
        return Applied(change)


CHANGE = Change(kind="create", target="m365.user:a", after={})
ATTEMPT = Attempt(key="key", number=1, deadline=NOW)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds between looks, which pass at once."""
    found: list[float] = []
    real = asyncio.sleep

    async def noted(seconds: float) -> None:
        found.append(round(seconds, 1))
        await real(0)

    monkeypatch.setattr(recovery.asyncio, "sleep", noted)
    return found


async def test_a_platform_is_left_alone_as_long_as_it_asks(slept: list[float]) -> None:
    slow = [Throttled("slow", retry_after=seconds) for seconds in (7, 0.1)]
    found = await find_out(Busy(*slow, Retryable("away")), CHANGE, ATTEMPT)  # type: ignore[arg-type] # a platform is enough
    assert found is not None
    assert slept == [7, 1, 1]
    slept.clear()
    work = Busy(Throttled("slow", retry_after=9))
    await patiently(lambda: work.recover(CHANGE, ATTEMPT))
    assert slept == [9]


async def test_what_asks_for_longer_than_anybody_waits_is_looked_at_once_more(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    await find_out(Busy(Throttled("slow", retry_after=3600)), CHANGE, ATTEMPT)  # type: ignore[arg-type] # as above
    assert slept == [60]
    monkeypatch.setattr(recovery, "_PATIENCE_S", 0)
    with pytest.raises(OutcomeUnknown):
        await find_out(Busy(Throttled("slow", retry_after=3600)), CHANGE, ATTEMPT)  # type: ignore[arg-type] # as above
