"""A plan as it is stored, sealed, shown and compared: one entry for each step, in the order they would run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Json = dict[str, Any]


class PlannedStep(BaseModel):
    """What one step would do.

    ``change`` is None for steps that change nothing by nature (conditions, reads). ``problem`` is a refusal found while
    planning, ``handled`` that the workflow goes on from it. ``maybe`` says that a condition whose value only the run
    will bring decides whether the step runs. ``drift`` holds, for an undo, the fields that are not as they were left.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    node: str
    name: str
    type: str
    version: int
    risk: str = "low"
    change: Json | None = None
    output: Json | None = None
    problem: Json | None = None
    handled: bool = False
    maybe: bool = False
    drift: Json | None = None

    @property
    def writes(self) -> bool:
        return self.change is not None and self.change["kind"] != "none"


class Plan(BaseModel):
    """All that a run would change, before any of it is made. ``differences`` say how it departs from the plan that was
    sealed before it, where there was one. ``connections`` are those that its steps use, by alias, with ``id`` and
    ``tenant``: an alias may lead elsewhere by the time of the write."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: tuple[PlannedStep, ...]
    differences: tuple[Json, ...] = ()
    connections: dict[str, Json] = Field(default_factory=dict)

    @property
    def problems(self) -> list[PlannedStep]:
        """Refusals that would stop the run."""
        return [step for step in self.steps if step.problem and not step.handled and not step.maybe]

    @property
    def writes(self) -> list[PlannedStep]:
        return [step for step in self.steps if step.writes]

    @property
    def changes(self) -> dict[str, Json]:
        """The changes by node, with what an undo found moved."""
        return {step.node: {**step.change, "drift": step.drift} for step in self.steps if step.change is not None}

    def step_of(self, node: str) -> PlannedStep | None:
        """What was sealed of ``node``; None where the plan has nothing of it.

        A step in an iteration that the plan could not count is sealed under ``?`` in the place of its number.
        """
        names = _sealed_names(node)
        found = {step.node: step for step in self.steps if step.node in names}
        return next((found[name] for name in names if name in found), None)


_NUMBER = re.compile(r"\[\d+\]")


def _sealed_names(node: str) -> list[str]:
    """The name itself, then with unknown numbers from the innermost out: ``a[1].b[?].c``, ``a[?].b[?].c``."""
    names = [node]
    for found in reversed([*_NUMBER.finditer(node)]):
        last = names[-1]
        names.append(last[: found.start()] + "[?]" + last[found.end() :])
    return names


_COUNTED_AS = {"create": "add", "update": "change", "delete": "remove", "none": "none", "unknown": "unknown"}


def summary(steps: Iterable[PlannedStep]) -> dict[str, int]:
    """Counts for the first line of a plan: add, change, remove, none, unknown, irreversible, problems."""
    counts = dict.fromkeys(("add", "change", "remove", "none", "unknown", "irreversible", "problems"), 0)
    for step in steps:
        counts["problems"] += bool(step.problem)
        if step.change is not None:
            counts[_COUNTED_AS[step.change["kind"]]] += 1
            counts["irreversible"] += step.writes and not step.change["reversible"]
    return counts
