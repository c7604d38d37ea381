"""How long whoever takes a run over leaves the calls of its former worker alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.engine.core.document import parse_document
from app.engine.core.events import Event, StepIntended, StepSucceeded
from app.engine.core.graph import compile_graph
from app.engine.core.state import RunState
from app.engine.core.transitions import fold
from app.engine.runtime.recovery import calls_left_s
from app.engine.steps.registry import catalogue

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
