"""Random graphs, random outcomes, random order: what must hold whatever happens."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.engine.core.document import SCHEMA, parse_document
from app.engine.core.events import (
    UNKNOWN_PORT,
    CancelAsked,
    Event,
    PauseAsked,
    Resumed,
    StepExpanded,
    StepFailed,
    StepIntended,
    StepReset,
    StepSucceeded,
    StepUnknown,
    StepWaiting,
    event_from_json,
)
from app.engine.core.graph import Graph, GraphNode, compile_graph
from app.engine.core.plan import Command, FinishRun, StartStep, advance, next_commands
from app.engine.core.state import RunState, initial
from app.engine.core.transitions import apply, fold
from app.engine.core.undo import not_undoable, undo_graph
from tests.unit.engine.build import CATALOGUE, events_of, walk

ERROR = {"remedy": "Rejected", "code": "rejected", "message": "no"}


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Connected graphs of 1 to 14 nodes with conditions, joins, error branches and disabled steps."""
    count = draw(st.integers(1, 14))
    rng = random.Random(draw(st.integers(0, 2**32)))
    nodes = [_node(f"n{place}", rng) for place in range(count)]
    edges = []
    for place in range(1, count):
        for source in rng.sample(range(place), min(place, rng.choice([1, 1, 1, 2, 3]))):
            edges.append({"source": f"n{source}", "target": f"n{place}", "port": rng.choice(_ports(nodes[source]))})
    for node in nodes:
        leaves_by_error = any(edge["source"] == node["id"] and edge["port"] == "error" for edge in edges)
        if node["on_error"] == "branch" and not leaves_by_error:
            node["on_error"] = "stop"
        incoming = sum(edge["target"] == node["id"] for edge in edges)
        if isinstance(node["join"], int):
            node["join"] = min(node["join"], max(incoming, 1))
    return compile_graph(parse_document({"schema": SCHEMA, "nodes": nodes, "edges": edges}), CATALOGUE)


def _holding(name: str, rng: random.Random) -> dict[str, Any]:
    """A step that does a few others for each of up to four items."""
    body = [_node(f"i{place}", rng, depth=1) for place in range(rng.randint(1, 3))]
    ways = [_ports(node)[0] for node in body]
    edges = [{"source": f"i{p}", "target": f"i{p + 1}", "port": ways[p]} for p in range(len(body) - 1)]
    for node in body:
        node.update(
            join="all", on_error="continue" if ways[body.index(node)] == "next" and rng.random() < 0.3 else "stop"
        )
    return {
        "id": name,
        "type": "flow.for_each",
        "params": {"items": ["{{ inputs.n }}"]},
        "body": {"schema": SCHEMA, "nodes": body, "edges": edges},
    }


def _node(name: str, rng: random.Random, depth: int = 0) -> dict[str, Any]:
    if rng.random() < (0.15, 0.1, 0)[depth]:
        found = _holding(name, rng) if depth == 0 else {"id": name, "type": "test.write"}
        return {**found, "on_error": rng.choice(["stop", "continue"]), "join": "all", "disabled": False}
    kind = rng.choice(["test.write", "test.write", "test.fixed", "test.read", "flow.condition"])
    allowed = ["stop", "branch"] if kind == "flow.condition" else ["stop", "continue", "branch"]
    return {
        "id": name,
        "type": kind,
        "on_error": rng.choice(allowed),
        "join": rng.choice(["all", "all", "any", 2]),
        "disabled": rng.random() < 0.1,
    }


def _ports(node: Mapping[str, Any]) -> list[str]:
    ports = ["true", "false"] if node["type"] == "flow.condition" else ["next"]
    return [*ports, "error"] if node["on_error"] == "branch" else ports


class World:
    """Performs commands with random outcomes; in the modelled world a write puts the step's name on a list."""

    def __init__(self, graph: Graph, rng: random.Random, *, failing: float = 0.15, planning: bool = False) -> None:
        self.graph = graph
        self.rng = rng
        self.failing = failing
        self.planning = planning
        self.made: list[str] = []

    def perform(self, command: StartStep, state: RunState) -> list[Event]:
        node = state.graph.nodes[command.node]
        self._inputs_are_done(node, state)
        if node.body is not None:
            return [self._laid_out(command.node)]
        begun: list[Event] = [StepIntended(command.node, command.attempt)] if node.info.writes else []
        if self.rng.random() < self.failing:
            return [*begun, StepFailed(command.node, ERROR)]
        if self.rng.random() < 0.1 and not self.planning:
            begun.append(StepWaiting(command.node, {"kind": "approval"}))
        change = {"kind": "create", "target": command.node, "reversible": True} if node.info.writes else None
        if change:
            self.made.append(command.node)
        port = self.rng.choice(node.info.ports)
        if self.planning and node.node.type == "flow.condition" and self.rng.random() < 0.5:
            port = UNKNOWN_PORT
        return [*begun, StepSucceeded(command.node, {"id": command.node}, change, port)]

    def _laid_out(self, name: str) -> Event:
        items = tuple(range(self.rng.randint(1, 4)))
        unknown = self.planning and self.rng.random() < 0.3
        return StepExpanded(
            name,
            items[:1] if unknown else items,
            limit=self.rng.choice([0, 1, 2]),
            collect=self.rng.random() < 0.5,
            unknown=unknown,
        )

    def _inputs_are_done(self, node: GraphNode, state: RunState) -> None:
        if not node.incoming:
            return
        around = node.path.removesuffix(node.node.id)
        done = [state.node(around + edge.source).terminal for edge in node.incoming]
        assert sum(done) >= node.needed
        if node.node.join == "all":
            assert all(done)


def go(graph: Graph, world: World, rng: random.Random, cancel_at: int | None = None) -> tuple[RunState, list[Event]]:
    """Run with the commands performed in random order; the state and history where nothing is left to do."""
    state = initial(graph)
    queue: list[Command] = next_commands(graph, state)
    history: list[Event] = []
    started: dict[str, int] = {}

    def take(event: Event) -> None:
        nonlocal state
        state, more = advance(graph, state, event)
        history.append(event)
        queue.extend(more)

    while queue:
        if cancel_at is not None and len(history) >= cancel_at and not (state.stopping or state.finished):
            cancel_at = None
            queue = [command for command in queue if not isinstance(command, FinishRun)]
            take(CancelAsked())
        command = queue.pop(rng.randrange(len(queue)))
        if isinstance(command, StartStep) and not state.stopping:
            started[command.node] = started.get(command.node, 0) + 1
            assert started[command.node] == 1, "a step was started twice"
        for event in events_of(command, state, world.perform):
            take(event)
    return state, history


class Losing(World):
    """A world in which the answer to a write may be lost: it was made, and nobody knows."""

    def perform(self, command: StartStep, state: RunState) -> list[Event]:
        found = super().perform(command, state)
        writes = state.graph.nodes[command.node].info.writes
        if writes and isinstance(found[-1], StepSucceeded) and self.rng.random() < 0.4:
            return [StepIntended(command.node, command.attempt, key=command.node), StepUnknown(command.node, ERROR)]
        return found


seeds = st.integers(0, 2**32)


@given(graphs(), seeds, st.one_of(st.none(), st.integers(0, 20)))
@settings(max_examples=300, deadline=None)
def test_a_run_always_ends(graph: Graph, seed: int, cancel_at: int | None) -> None:
    rng = random.Random(seed)
    state, history = go(graph, World(graph, rng), rng, cancel_at)
    assert state.finished
    assert state.left == 0
    assert all(node.terminal for node in state.nodes.values())
    stopped = [name for name, node in state.nodes.items() if _stopped_it(state, name, node.state)]
    cancelled = any(isinstance(event, CancelAsked) for event in history)
    if cancelled:
        assert state.outcome in ("cancelled", "failed")
    else:
        assert state.outcome == ("failed" if stopped else "succeeded")
    if state.outcome == "failed":
        assert state.failed in stopped


def _stopped_it(run: RunState, name: str, state: str) -> bool:
    """What fails inside another step is the other step's to tell."""
    node = run.graph.nodes[name]
    return state == "failed" and node.node.on_error == "stop" and node.layout < 0


@given(graphs(), seeds)
@settings(max_examples=300, deadline=None)
def test_what_nobody_knows_is_looked_for_when_a_run_is_tried_again_and_never_begun_anew(
    graph: Graph, seed: int
) -> None:
    rng = random.Random(seed)
    state, _ = go(graph, Losing(graph, rng), rng)
    if not state.finished:
        state, commands = advance(graph, state, CancelAsked())
        while commands:
            for event in events_of(commands.pop(0), state, World(graph, rng).perform):
                state, more = advance(graph, state, event)
                commands.extend(more)
    lost = [name for name, node in state.nodes.items() if node.state == "unknown"]
    assume(lost)
    state, commands = advance(graph, state, StepReset())
    reopened = [name for name in lost if state.node(name).state == "running"]
    assert all(state.node(name).key == name for name in reopened)
    assert not {command.node for command in commands if isinstance(command, StartStep)} & set(lost)
    for name in reopened:
        state = apply(state, StepSucceeded(name, {"id": name}, None, "next"))
    assert all(state.node(name).state != "unknown" for name in reopened)


@given(graphs(), seeds)
@settings(max_examples=200, deadline=None)
def test_the_stored_history_leads_to_the_same_state(graph: Graph, seed: int) -> None:
    rng = random.Random(seed)
    state, history = go(graph, World(graph, rng), rng)
    assert fold(graph, [event_from_json(event.to_json()) for event in history]) == state


@given(graphs(), seeds)
@settings(max_examples=200, deadline=None)
def test_what_advance_brings_adds_up_to_what_is_to_be_done(graph: Graph, seed: int) -> None:
    """At any moment, a worker that takes over sees exactly the commands that the former one had not performed."""
    rng = random.Random(seed)
    world = World(graph, rng)
    state = initial(graph)
    queue = next_commands(graph, state)
    while queue:
        command = queue.pop(rng.randrange(len(queue)))
        for event in events_of(command, state, world.perform):
            state, more = advance(graph, state, event)
            queue.extend(more)
        if not state.stopping:
            # A runner drops the commands of what was given up meanwhile.
            left = [c for c in queue if isinstance(c, FinishRun) or not state.node(c.node).terminal]
            assert _key(left) == _key(next_commands(graph, state))


@given(graphs(), seeds)
@settings(max_examples=200, deadline=None)
def test_pausing_at_any_moment_changes_nothing_of_what_is_done(graph: Graph, seed: int) -> None:
    """Steps in hand end while the run is paused; no other begins. After it goes on, each step has run once."""
    rng = random.Random(seed)
    world = World(graph, rng)
    state = initial(graph)
    queue = next_commands(graph, state)
    in_hand: list[Event] = []
    started: list[str] = []

    def take(event: Event) -> None:
        nonlocal state, queue
        state, more = advance(graph, state, event)
        queue = queue + more if not isinstance(event, PauseAsked) else more

    while not state.finished:
        assert queue or in_hand or state.paused, "it goes on"
        if state.paused and not in_hand and rng.random() < 0.7:
            take(Resumed())
        elif not state.paused and rng.random() < 0.2:
            take(PauseAsked())
        elif in_hand and (not queue or rng.random() < 0.5):
            event = in_hand.pop(0)
            if not state.node(event.node).terminal:  # type: ignore[union-attr]
                take(event)
        elif queue:
            command = queue.pop(rng.randrange(len(queue)))
            assert not state.paused or state.stopping or isinstance(command, FinishRun)
            acts = isinstance(command, StartStep) and state.graph.nodes[command.node].body is None
            if acts and not state.stopping and not state.node(command.node).terminal:
                started.append(command.node)
                take(StepIntended(command.node, command.attempt))
                in_hand += [found for found in world.perform(command, state) if not isinstance(found, StepIntended)]
            else:
                for event in events_of(command, state, world.perform):
                    take(event)
    assert len(started) == len(set(started)), "a step was started twice"


def go_with_hands(state: RunState, world: World, rng: random.Random) -> RunState:
    """Go on with several steps in hand at a time, so that some end after another has failed; the state at the end."""
    queue = next_commands(state.graph, state)
    in_hand: list[Event] = []
    while not state.finished:
        assert queue or in_hand, "it goes on"
        found: list[Event] = []
        if in_hand and (not queue or rng.random() < 0.5):
            found = [in_hand.pop(rng.randrange(len(in_hand)))]
        else:
            command = queue.pop(rng.randrange(len(queue)))
            acts = isinstance(command, StartStep) and state.graph.nodes[command.node].body is None
            if acts and not state.stopping and not state.node(command.node).terminal:
                found = [StepIntended(command.node, command.attempt)]
                in_hand += world.perform(command, state)[-1:]
            else:
                found = events_of(command, state, world.perform)
        for event in found:
            state, more = advance(state.graph, state, event)
            queue.extend(more)
    return state


@given(graphs(), seeds)
@settings(max_examples=300, deadline=None)
def test_a_run_that_is_tried_again_while_nothing_fails_any_more_ends_well(graph: Graph, seed: int) -> None:
    rng = random.Random(seed)
    state = go_with_hands(initial(graph), World(graph, rng, failing=0.3), rng)
    assume(state.outcome == "failed")
    state = go_with_hands(apply(state, StepReset()), World(state.graph, rng, failing=0), rng)
    assert state.outcome == "succeeded"


def _key(commands: list[Command]) -> list[str]:
    return sorted(map(repr, commands))


class Answers(World):
    """A world that stands still: what a step finds depends on the step alone, not on when it is asked."""

    def __init__(self, graph: Graph, seed: int) -> None:
        super().__init__(graph, random.Random(seed), failing=0, planning=True)
        self._seed = seed

    def perform(self, command: StartStep, state: RunState) -> list[Event]:
        self.rng = random.Random(f"{self._seed} {command.node}")
        return super().perform(command, state)


@given(graphs(), seeds, seeds)
@settings(max_examples=200, deadline=None)
def test_planning_twice_gives_the_same(graph: Graph, seed: int, order: int) -> None:
    """While nothing moves, in whatever order the platforms answer."""

    def plan(order: int) -> dict[str, tuple[bool, Any]]:
        state, history = go(graph, Answers(graph, seed), random.Random(order))
        assert state.outcome == "succeeded"
        done = [event for event in history if isinstance(event, StepSucceeded)]
        return {event.node: (state.node(event.node).maybe, event.change) for event in done}

    assert plan(order) == plan(order + 1)


@given(graphs(), seeds)
@settings(max_examples=150, deadline=None)
def test_a_plan_speaks_of_every_step_that_can_run(graph: Graph, seed: int) -> None:
    """Whatever the conditions turn out to be, a run starts nothing that a plan with open conditions did not show."""
    state = initial(graph)
    queue = next_commands(graph, state)
    planned: dict[str, bool] = {}

    def open_conditions(command: StartStep, now: RunState) -> list[Event]:
        planned[command.node] = command.maybe
        if now.graph.nodes[command.node].body is not None:
            return [StepExpanded(command.node, (0,), unknown=True)]
        decides = now.graph.nodes[command.node].node.type == "flow.condition"
        return [StepSucceeded(command.node, None, None, UNKNOWN_PORT if decides else "next")]

    while queue:
        command = queue.pop(0)
        for event in events_of(command, state, open_conditions):
            state, more = advance(graph, state, event)
            queue.extend(more)
    rng = random.Random(seed)
    ran, _ = go(graph, World(graph, rng, failing=0), rng)
    done = {name for name, node in ran.nodes.items() if node.state == "succeeded"}
    assert {re.sub(r"\[\d+\]", "[?]", name) for name in done} <= planned.keys()
    assert {name for name, maybe in planned.items() if not maybe} <= done


@given(graphs(), seeds)
@settings(max_examples=150, deadline=None)
def test_undo_takes_back_what_was_made_last_first(graph: Graph, seed: int) -> None:
    rng = random.Random(seed)
    world = World(graph, rng)
    state, _ = go(graph, world, rng)
    back = undo_graph(state)
    stays = not_undoable(state)
    remaining = list(world.made)
    for name in back.order:
        left = [step for step in remaining if step not in stays]
        assert left[-1] == name
        remaining.remove(name)
    assert sorted(remaining) == sorted(stays)


class Things(World):
    """A world of a few things that several steps set, make and remove: in what order they are undone matters."""

    def __init__(self, graph: Graph, rng: random.Random) -> None:
        super().__init__(graph, rng)
        self.things: dict[str, int | None] = {f"t{number}": rng.choice([None, 0, 1]) for number in range(3)}

    def perform(self, command: StartStep, state: RunState) -> list[Event]:
        events = super().perform(command, state)
        done = events[-1]
        if isinstance(done, StepSucceeded) and done.change is not None:
            events[-1] = StepSucceeded(done.node, done.output, self._set(state.graph.nodes[done.node]), done.port)
        return events

    def _set(self, node: GraphNode) -> dict[str, Any]:
        target, after = self.rng.choice(list(self.things)), self.rng.choice([None, 1, 2, 3])
        before, self.things[target] = self.things[target], after
        kind = "none" if before == after else "create" if before is None else "delete" if after is None else "update"
        return {"kind": kind, "target": target, "before": before, "after": after, "reversible": True}


@given(graphs(), seeds, st.one_of(st.none(), st.integers(0, 20)))
@settings(max_examples=300, deadline=None)
def test_undo_returns_the_world_to_its_start(graph: Graph, seed: int, cancel_at: int | None) -> None:
    """A run that succeeded, failed or was cancelled; steps that cannot be undone are left out of it."""
    rng = random.Random(seed)
    graph = _reversible(graph)
    world = Things(graph, rng)
    start = dict(world.things)
    state, _ = go(graph, world, rng, cancel_at)
    assert not_undoable(state) == []
    back, _ = walk(undo_graph(state))
    for name in back.graph.order:
        change = state.node(name).change
        assert change is not None
        assert world.things[change["target"]] == change["after"], "each step finds what the step itself had left"
        world.things[change["target"]] = change["before"]
    assert back.outcome == "succeeded"
    assert world.things == start


def _reversible(graph: Graph) -> Graph:
    """The same graph with no step that cannot be undone."""
    raw = json.dumps(graph.document.model_dump(mode="json", exclude_none=True, by_alias=True))
    return compile_graph(parse_document(json.loads(raw.replace("test.fixed", "test.write"))), CATALOGUE)


@given(graphs(), seeds)
@settings(max_examples=150, deadline=None)
def test_a_failed_run_that_is_tried_again_ends_well(graph: Graph, seed: int) -> None:
    rng = random.Random(seed)
    state, _ = go(graph, World(graph, rng, failing=0.3), rng)
    if state.outcome != "failed":
        return
    done_before = {name for name, node in state.nodes.items() if node.state == "succeeded"}
    state, queue = advance(graph, state, StepReset())
    world = World(graph, rng, failing=0)
    while queue:
        command = queue.pop(rng.randrange(len(queue)))
        for event in events_of(command, state, world.perform):
            state, more = advance(graph, state, event)
            queue.extend(more)
    assert state.outcome == "succeeded"
    assert not done_before & set(world.made), "a step that was done was done again"
