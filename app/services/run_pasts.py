"""What a run's document and history come to: its state, and its steps as they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.errors import Invalid, OpsloomError, Problem, Stale
from app.data.models.runs import Run, StepEvent
from app.data.repositories.run_reading import EventRecord
from app.engine.core.again import restored
from app.engine.core.document import parse_document
from app.engine.core.events import event_from_json
from app.engine.core.graph import Graph, compile_graph
from app.engine.core.state import NodeState, RunState
from app.engine.core.transitions import fold
from app.engine.core.undo import undo_graph
from app.engine.steps.registry import catalogue
from app.services.known_versions import Version
from app.services.run_views import StepView

Json = dict[str, Any]
AnyEvent = StepEvent | EventRecord


@dataclass(frozen=True)
class Past:
    """A run's document and history: all that its state is worked out from. ``origin``: what an undo reverses.

    ``version`` is given where the document is that of a version whose graph may be known already."""

    document: Json
    history: Sequence[AnyEvent]
    only_node: str | None = None
    kept: Sequence[Json] = ()
    origin: Past | None = None
    version: Version | None = None

    def state(self) -> RunState | None:
        """The state that the history leads to; None where the document does not compile any more."""
        try:
            graph = self._graph()
            return fold(graph, events_of(self.history), self.only_node, restored(self.kept)) if graph else None
        except OpsloomError:
            return None

    def _graph(self) -> Graph | None:
        if self.origin is None and self.version:
            return self.version.graph()
        if self.origin is None:
            return compile_graph(parse_document(self.document), catalogue())
        first = self.origin.state()
        return undo_graph(first) if first else None


def require_unarchived(run: Run) -> None:
    """Raise Stale where the steps of a run have gone to a file: nothing can start from them."""
    if run.archived_at is not None:
        raise Stale("The steps of this run have been archived.", code="run_archived", params={"file": run.archive})


def require_steps(state: RunState | None, names: Sequence[str], field: str) -> None:
    """Raises Invalid naming each of ``names`` that is no step of the run."""
    unknown = [name for name in names if state is None or name not in state.graph.nodes]
    problems = [
        Problem("unknown_step", f"There is no step {name}.", field=field, params={"step": name}) for name in unknown
    ]
    if problems:
        raise Invalid("There is no such step in this run.", code="unknown_step", problems=problems)


def events_of(rows: Sequence[AnyEvent]) -> list[Any]:
    return [event_from_json(row.payload) for row in rows]


def steps_of(state: RunState | None, history: Sequence[AnyEvent], planned: Sequence[Json]) -> tuple[StepView, ...]:
    """The steps in order: as they were done, or, where nothing was done yet, as they are planned."""
    if state is None:
        return ()
    if history:
        times = _times(history)
        return tuple(_done_step(state.graph, state, name, times.get(name, [])) for name in state.graph.order)
    kept = (_done_step(state.graph, state, name, []) for name, node in state.nodes.items() if node.kept)
    return (*kept, *(_planned_step(step) for step in planned))


def _planned_step(step: Json) -> StepView:
    problem = step.get("problem")
    return StepView(
        node=step["node"],
        name=step["name"],
        type=step["type"],
        state="failed" if problem else "pending",
        attempt=0,
        change=step.get("change"),
        error=problem,
        maybe=step.get("maybe", False),
    )


def _times(events: Sequence[AnyEvent]) -> dict[str, list[AnyEvent]]:
    found: dict[str, list[AnyEvent]] = {}
    for event in events:
        found.setdefault(event.node, []).append(event)
    return found


def _done_step(graph: Graph, state: RunState, name: str, events: Sequence[AnyEvent]) -> StepView:
    node, now = graph.nodes[name], state.node(name)
    return StepView(
        node=name,
        name=node.node.name or name,
        type=node.node.type,
        state=now.state,
        attempt=now.attempt,
        output=now.output,
        change=_plain(now.change),
        error=_plain(now.error),
        params=_plain(now.params),
        port=now.port,
        adopted=now.adopted,
        kept=now.kept,
        waiting_for=_plain(now.waiting_for),
        started_at=events[0].at if events else None,
        finished_at=events[-1].at if events and _over(now) else None,
        attempts=tuple(_attempt(event) for event in events),
    )


def _over(now: NodeState) -> bool:
    return now.terminal


def _plain(value: Mapping[str, Any] | None) -> Json | None:
    return None if value is None else dict(value)


def _attempt(event: AnyEvent) -> Json:
    error = event.payload.get("error")
    return {
        "seq": event.seq,
        "kind": event.kind,
        "attempt": event.attempt,
        "at": event.at.isoformat(),
        "error": error,
        "retry_at": event.payload.get("retry_at"),
        "what": event.payload.get("what"),
    }
