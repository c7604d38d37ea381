"""Values that may not be known yet, and what an expression can see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.engine.core.catalogue import StepInfo
from app.engine.core.graph import Layout
from app.engine.core.moves import is_maybe
from app.engine.core.state import RunState

UNKNOWN_KEY: Final = "$unknown"
_LISTS = (list, tuple)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only the run will bring; ``expression`` is its source text, which stands for it in the seal."""

    expression: str

    def to_json(self) -> dict[str, str]:
        return {UNKNOWN_KEY: self.expression}


class _Absent:
    """There is no loop (or no payload), so the name has no value."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@dataclass(frozen=True)
class Scope:
    """What an expression can see.

    ``steps`` maps a step's id to its output: None where it was skipped, an :class:`Unknown` (or an object that holds
    some) where only the run will bring it. ``item`` is the element of a loop, ``index`` the number of its iteration,
    ``found`` what a waiting step has read.
    With a ``payload`` (what a webhook was sent, or what has happened) only that and ``client`` are seen.
    """

    inputs: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Any] = field(default_factory=dict)
    client: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    item: Any = ABSENT
    index: Any = ABSENT
    payload: Any = ABSENT
    found: Any = ABSENT


def run_root(run: Mapping[str, Any], *, planning: bool) -> dict[str, Any]:
    """The root ``run`` (``id``, ``label``, ``started_by``, ``created_at``).

    The run that is approved is started later and perhaps by somebody else, so while planning only its label is known.
    """
    if planning:
        return {**_PLANNED_RUN, "label": run.get("label")}
    return {name: run.get(name) for name in _PLANNED_RUN}


_PLANNED_RUN = {name: Unknown(f"run.{name}") for name in ("id", "label", "started_by", "created_at")}


Frames = Sequence[tuple[Layout, int]]
"""The bodies around a step with their iterations, innermost first."""


class Outputs(Mapping[str, Any]):
    """The outputs of a run's steps by the names that they were drawn with, as seen from inside ``frames``: None for
    steps that gave nothing.

    A loop's body sees its own steps and those around the loop, a sub-workflow only its own. While planning, the output
    of a step that perhaps does not run is unknown to a step that surely runs.
    """

    def __init__(
        self, state: RunState, frames: Frames = (), *, planning: bool = False, reader_is_maybe: bool = False
    ) -> None:
        self._state = state
        self._planning = planning
        self._reader_is_maybe = reader_is_maybe
        self._prefixes = _prefixes(state, frames)

    def __getitem__(self, step: str) -> Any:
        nodes = self._state.graph.nodes
        names = (prefix + step for prefix in self._prefixes)
        name = next((name for name in names if name in nodes and nodes[name].node.id == step), None)
        if name is None:
            raise KeyError(step)
        found = self._state.node(name)
        if self._planning and found.maybe and not self._reader_is_maybe:
            return Unknown(f"steps.{step}.output")
        return with_unknowns(found.output) if self._planning else found.output

    def __iter__(self) -> Iterator[str]:
        graph = self._state.graph
        return iter(dict.fromkeys(node.node.id for node in graph.by_index if self._sees(node.id)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _sees(self, name: str) -> bool:
        return any(name.startswith(prefix) and "." not in name[len(prefix) :] for prefix in self._prefixes)


def _prefixes(state: RunState, frames: Frames) -> list[str]:
    found = []
    for layout, iteration in frames:
        found.append(state.graph.prefix(layout, iteration))
        if layout.kind == "workflow":
            return found
    return [*found, ""]


def scope_inside(around: Scope, state: RunState, frames: Frames, *, maybe: bool, planning: bool = False) -> Scope:
    """What an expression inside ``frames`` sees. ``around`` holds the run's own inputs, client and run; ``maybe``:
    whether what is inside surely runs is not known."""
    inputs: Mapping[str, Any] = around.inputs
    item: Any = ABSENT
    index: Any = ABSENT
    for layout, iteration in reversed(frames):
        given = state.bodies[layout.number].items[iteration]
        if layout.kind == "workflow":
            inputs, item, index = with_unknowns(given), ABSENT, ABSENT
        else:
            number = layout.first + iteration
            index = Unknown("index") if layout.unknown else number
            item = with_unknowns(given) if layout.kind == "each" else item
    steps = Outputs(state, frames, planning=planning, reader_is_maybe=planning and maybe)
    return Scope(inputs, steps, around.client, around.run, item, index, around.payload, around.found)


def scope_at(around: Scope, state: RunState, node: str, *, planning: bool = False) -> Scope:
    """What the expressions of ``node`` see."""
    place = state.graph.nodes[node].index
    frames = state.graph.frames(place)
    return scope_inside(around, state, frames, maybe=planning and is_maybe(state, place), planning=planning)


def contains_unknown(value: Any) -> bool:
    """Whether ``value`` is or holds an Unknown, in either form."""
    if isinstance(value, Unknown):
        return True
    if isinstance(value, Mapping):
        return is_unknown_json(value) or any(contains_unknown(item) for item in value.values())
    return isinstance(value, _LISTS) and any(contains_unknown(item) for item in value)


def is_unknown_json(value: Any) -> bool:
    """Whether ``value`` is the JSON form of an Unknown."""
    return isinstance(value, Mapping) and len(value) == 1 and isinstance(value.get(UNKNOWN_KEY), str)


def to_json(value: Any) -> Any:
    """``value`` with every Unknown in its JSON form ``{"$unknown": expression}``."""
    if isinstance(value, Unknown):
        return value.to_json()
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    return [to_json(item) for item in value] if isinstance(value, _LISTS) else value


def with_unknowns(value: Any) -> Any:
    """``value`` with every JSON form of an Unknown turned back into one."""
    if isinstance(value, Mapping):
        if is_unknown_json(value):
            return Unknown(value[UNKNOWN_KEY])
        return {key: with_unknowns(item) for key, item in value.items()}
    return [with_unknowns(item) for item in value] if isinstance(value, _LISTS) else value


def fill_unknown(node: str, info: StepInfo, output: Any) -> Any:
    """A planned output with every field that it leaves out, though the step type declares it, as an Unknown."""
    if not isinstance(output, Mapping) or info.open_output is not None:
        return output
    declared = info.output_schema.get("properties") or {}
    missing = {name: Unknown(f"steps.{node}.output.{name}") for name in declared if name not in output}
    return {**output, **missing}
