"""What becomes of a batch's rows once they are planned."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from app.engine.core.planned import Plan, PlannedStep
from app.engine.runtime.batch_rows import NOTHING, PlannedRow, counted, settled
from app.engine.runtime.record import StoredPlan

PROBLEM = {"code": "not_found", "message": "Not there."}
REFUSED = PlannedStep(node="step", name="", type="", version=1, problem=PROBLEM)
WRITES = PlannedStep(node="first", name="", type="", version=1, change={"kind": "create", "reversible": True})


def row_of(*steps: PlannedStep) -> PlannedRow:
    return PlannedRow(uuid4(), 1, StoredPlan(Plan(steps=steps), "seal"))


@pytest.mark.parametrize(("mode", "steps", "state", "reason", "over", "added"), [
    ("apply", (WRITES,), "waiting", {"code": "batch"}, False, 1),
    ("plan", (WRITES,), "succeeded", None, True, 1),
    ("apply", (WRITES, REFUSED), "failed", {**PROBLEM, "node": "step", "phase": "plan"}, True, 0),
    ("plan", (WRITES, REFUSED), "failed", {**PROBLEM, "node": "step", "phase": "plan"}, True, 1),
])  # fmt: skip
def test_a_planned_row_waits_for_its_batch_or_is_over(
    mode: str, steps: tuple[PlannedStep, ...], state: str, reason: Any, over: bool, added: int
) -> None:
    row = row_of(*steps)
    kept = settled(row, mode)
    assert (kept["id"], kept["seal"]) == (row.run_id, "seal")
    assert [step["node"] for step in kept["plan"]["steps"]] == [step.node for step in steps]
    assert (kept["state"], kept["reason"], kept["over"]) == (state, reason, over)
    assert kept["summary"] == {**NOTHING, "add": added, "problems": steps.count(REFUSED)}


def test_how_far_the_rows_have_come() -> None:
    states = {"succeeded": 4, "failed": 2, "cancelled": 1, "waiting": 3}
    assert counted(states) == {"rows": 10, "over": 7, "succeeded": 4, "failed": 2}
    assert counted({}) == {"rows": 0, "over": 0, "succeeded": 0, "failed": 0}
