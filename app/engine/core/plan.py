"""What to do next: the planner looks at a state and returns commands; the runner performs them and reports events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.engine.core.events import Event, Outcome
from app.engine.core.graph import Graph
from app.engine.core.moves import is_maybe
from app.engine.core.state import RunState, places
from app.engine.core.transitions import apply


@dataclass(frozen=True, slots=True)
class StartStep:
    """Start a try at a step. ``maybe``: while planning, whether it will run at all is not known."""

    node: str
    attempt: int = 1
    maybe: bool = False


@dataclass(frozen=True, slots=True)
class SkipStep:
    """Record that a step does not run (StepSkipped with this ``port``)."""

    node: str
    port: str | None = None
    reason: Literal["branch", "disabled"] = "branch"


@dataclass(frozen=True, slots=True)
class CancelStep:
    """Give up what a step waits for (an approval, a retry) because the run is ending; record StepCancelled."""

    node: str


@dataclass(frozen=True, slots=True)
class FinishRun:
    """Record RunFinished. ``node`` is the step whose failure stopped the run."""

    outcome: Outcome
    node: str | None = None


@dataclass(frozen=True, slots=True)
class FinishBody:
    """A step's body is over: work out what the step gives (StepSucceeded, StepFailed), or begin another round."""

    node: str


_TIMED = frozenset({"time", "until"})
_NOBODY = _TIMED | {"retry"}

Command = StartStep | SkipStep | CancelStep | FinishBody | FinishRun


def next_commands(graph: Graph, state: RunState) -> list[Command]:
    """Everything that can be done in ``state``, in topological order. Empty: the run waits, or steps are running."""
    if state.finished:
        return []
    if state.stopping:
        return _ending(state, state.waiting)
    if state.paused and state.left:
        return []
    return _going_on(state, state.ready, state.to_skip, state.finishing, state.to_cancel)


def advance(graph: Graph, state: RunState, event: Event) -> tuple[RunState, list[Command]]:
    """The state after ``event`` and the commands that it brought: what ``next_commands`` gives now and did not before.

    A runner that keeps its commands in a queue performs each exactly once this way, at a cost that does not grow with
    the run; after a restart it begins with ``next_commands``. A FinishRun in hand is void once a CancelAsked was
    applied: the event brings another. A PauseAsked voids every command in hand; the Resumed after it brings them again.
    """
    after = apply(state, event)
    if after.finished:
        return after, []
    if after.stopping:
        return after, _ending(after, after.waiting if not state.stopping else after.waiting & ~state.waiting)
    if after.paused or state.paused:
        return after, next_commands(graph, after)
    finishing, to_cancel = after.finishing & ~state.finishing, after.to_cancel & ~state.to_cancel
    return after, _going_on(after, after.ready & ~state.ready, after.to_skip & ~state.to_skip, finishing, to_cancel)


def due(state: RunState, now: datetime) -> list[StartStep]:
    """Tries whose time has come. Nothing is due in a run that is ending or paused."""
    if state.stopping or state.finished or state.paused:
        return []
    found = []
    for place in places(state.waiting):
        node = state.states[place]
        if node.retry_at is not None and datetime.fromisoformat(node.retry_at) <= now:
            found.append(StartStep(state.graph.order[place], node.attempt + 1, node.maybe))
    return found


def next_due(state: RunState) -> datetime | None:
    """When the next try is due, or None."""
    times = (state.states[place].retry_at for place in places(state.waiting))
    return min((datetime.fromisoformat(time) for time in times if time is not None), default=None)


def timed(state: RunState) -> dict[str, datetime]:
    """Steps that wait for time to go by, or look again and again, and when each is to be looked after."""
    found = {}
    for place in places(state.waiting):
        what = state.states[place].waiting_for or {}
        if what.get("kind") in _TIMED:
            found[state.graph.order[place]] = datetime.fromisoformat(what["at"])
    return found


def waits_for_people(state: RunState) -> list[str]:
    """Steps that cannot go on without a person: open approvals, forms, and outcomes that nobody knows."""
    asked = [p for p in places(state.waiting) if (state.states[p].waiting_for or {}).get("kind") not in _NOBODY]
    return [state.graph.order[place] for place in sorted([*asked, *places(state.unknown)])]


def _going_on(state: RunState, ready: int, to_skip: int, finishing: int, to_cancel: int) -> list[Command]:
    if state.left == 0:
        return [FinishRun("succeeded")]
    if finishing or to_cancel:
        ends: list[Command] = [CancelStep(state.graph.order[place]) for place in places(to_cancel)]
        ends += [FinishBody(state.graph.order[place]) for place in places(finishing)]
        return ends + _steps(state, ready, to_skip)
    return _steps(state, ready, to_skip)


def _steps(state: RunState, ready: int, to_skip: int) -> list[Command]:
    if not to_skip:
        return [_start(state, place) for place in places(ready)]
    return [_start(state, p) if ready >> p & 1 else _skip(state, p) for p in places(ready | to_skip)]


def _ending(state: RunState, waiting: int) -> list[Command]:
    if state.running or state.waiting:
        return [CancelStep(state.graph.order[place]) for place in places(waiting)]
    return [FinishRun("failed", state.failed) if state.failed is not None else FinishRun("cancelled")]


def _start(state: RunState, place: int) -> StartStep:
    return StartStep(state.graph.order[place], state.states[place].attempt + 1, is_maybe(state, place))


def _skip(state: RunState, place: int) -> SkipStep:
    node = state.graph.by_index[place]
    passes = node.node.disabled and _would_run(state, place)
    return SkipStep(node.id, node.info.ports[0], "disabled") if passes else SkipStep(node.id)


def _would_run(state: RunState, place: int) -> bool:
    arrivals = state.arrivals[place]
    return not state.graph.by_index[place].incoming or arrivals.taken > 0 or arrivals.perhaps > 0
