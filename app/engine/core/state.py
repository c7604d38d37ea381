"""The state of a run: a value that an event turns into the next one (:mod:`app.engine.core.transitions`).

A transition costs the same in a chain of ten thousand steps as in one of ten: node states live in a :class:`Vector`,
sets of nodes are the bits of an integer, and every node counts the incoming edges that are done, so nothing is scanned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakKeyDictionary

from app.engine.core.events import Outcome
from app.engine.core.graph import Graph
from app.engine.core.vector import Vector

StepState = Literal["pending", "running", "waiting", "succeeded", "failed", "skipped", "cancelled", "unknown"]
TERMINAL: frozenset[str] = frozenset({"succeeded", "failed", "skipped", "cancelled"})


class IllegalEvent(ValueError):
    """The event cannot follow this state (a step that is done succeeds again, a finished run goes on)."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """One step of a run.

    ``attempt`` counts tries from 1 (0: none yet), ``earlier`` are those before a person reset it. ``maybe``: while
    planning, whether it will run at all is not known. ``done`` is its place in the order of completion, from 1 (0: not
    done). ``kept``: the step did not run here, its result is an earlier run's, or was edited by a person.
    """

    state: StepState = "pending"
    attempt: int = 0
    maybe: bool = False
    port: str | None = None
    output: Any = None
    change: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    key: str | None = None
    deadline: str | None = None
    params: Mapping[str, Any] | None = None
    retry_at: str | None = None
    waiting_for: Mapping[str, Any] | None = None
    adopted: bool = False
    done: int = 0
    earlier: int = 0
    kept: Literal["kept", "edited"] | None = None

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL

    @property
    def tries(self) -> int:
        """Tries since the step was last reset by a person: what the retry policy counts."""
        return self.attempt - self.earlier


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How many of a node's incoming edges are done, and how many of those are taken, surely or perhaps."""

    done: int = 0
    taken: int = 0
    perhaps: int = 0


@dataclass(frozen=True, slots=True)
class Body:
    """A body that was laid out (the layout of the same number says where).

    ``left`` counts the steps of each iteration that are not done, ``open`` the iterations that have begun and not
    ended, ``started`` those that have begun at all, always the first ones. ``broken`` are the iterations in which a
    step failed, one bit each.
    """

    items: tuple[Any, ...]
    limit: int
    collect: bool
    left: Vector[int] = field(repr=False)
    started: int
    open: int
    broken: int = 0


class NodeStates(Mapping[str, NodeState]):
    """The states of all nodes by id, in topological order."""

    __slots__ = ("_graph", "_states")

    def __init__(self, graph: Graph, states: Vector[NodeState]) -> None:
        self._graph = graph
        self._states = states

    def __getitem__(self, node: str) -> NodeState:
        return self._states[self._graph.nodes[node].index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._graph.order)

    def __len__(self) -> int:
        return len(self._graph.order)


@dataclass(frozen=True, slots=True)
class RunState:
    """A whole run at one moment. The integer fields are sets of nodes, one bit a place in the graph's order.

    ``graph`` grows when a body is laid out: the state's own is the one that counts. ``finishing`` are steps whose body
    is over, ``to_cancel`` steps that wait for something in an iteration that was given up.
    """

    graph: Graph = field(repr=False, compare=False)
    states: Vector[NodeState] = field(repr=False)
    arrivals: Vector[Arrivals] = field(repr=False)
    ready: int = 0
    to_skip: int = 0
    running: int = 0
    waiting: int = 0
    unknown: int = 0
    left: int = 0
    completed: int = 0
    failed: str | None = None
    cancelling: bool = False
    outcome: Outcome | None = None
    finishing: int = 0
    to_cancel: int = 0
    bodies: tuple[Body, ...] = ()
    paused: bool = False

    @property
    def nodes(self) -> NodeStates:
        return NodeStates(self.graph, self.states)

    def node(self, node: str) -> NodeState:
        return self.states[self.graph.nodes[node].index]

    @property
    def stopping(self) -> bool:
        """Whether nothing new may start: the run was cancelled, or a step failed that stops it."""
        return self.cancelling or self.failed is not None

    @property
    def finished(self) -> bool:
        return self.outcome is not None

    def names(self, bits: int) -> list[str]:
        """The nodes in a set of bits, in topological order."""
        return [self.graph.order[place] for place in places(bits)]


def places(bits: int) -> Iterator[int]:
    """The places of the bits that are set, lowest first."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def initial(graph: Graph, only: str | None = None) -> RunState:
    """The state before anything happened. With ``only``, one step runs by itself and all others count as skipped."""
    if only is not None:
        return _alone(graph, graph.nodes[only].index, Vector.of(Arrivals() for _ in graph.order))
    states, arrivals, ready, to_skip = _untouched(graph)
    return RunState(graph, states, arrivals, ready=ready, to_skip=to_skip, left=len(graph.order))


_Untouched = tuple[Vector["NodeState"], Vector["Arrivals"], int, int]
# Runs of one document share its graph. Kept without the state itself, which would keep the graph.
_untouched_of: WeakKeyDictionary[Graph, _Untouched] = WeakKeyDictionary()


def _untouched(graph: Graph) -> _Untouched:
    """States, arrivals, and the sets of what is ready and what is to be skipped, before anything happened."""
    found = _untouched_of.get(graph)
    if found is None:
        ready = to_skip = 0
        for node in graph.by_index:
            if not node.incoming:
                ready |= (not node.node.disabled) << node.index
                to_skip |= node.node.disabled << node.index
        states, arrivals = Vector.of([PENDING] * len(graph.order)), Vector.of([Arrivals()] * len(graph.order))
        found = _untouched_of[graph] = (states, arrivals, ready, to_skip)
    return found


PENDING = NodeState()
_SKIPPED = NodeState(state="skipped")


def _alone(graph: Graph, place: int, arrivals: Vector[Arrivals]) -> RunState:
    states = Vector.of(PENDING if other == place else _SKIPPED for other in range(len(graph.order)))
    coming = len(graph.by_index[place].incoming)
    arrivals = arrivals.set(place, Arrivals(done=coming, taken=coming))
    return RunState(graph, states, arrivals, ready=1 << place, left=1)
