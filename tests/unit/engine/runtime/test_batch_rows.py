"""What becomes of a batch's rows, planned once and perhaps again."""

from __future__ import annotations

from uuid import uuid4

from app.data.models.runs import Run
from app.engine.core.planned import Plan, PlannedStep, summary
from app.engine.runtime.batch_rows import PlannedRow, settle
from app.engine.runtime.record import StoredPlan

REFUSED = PlannedStep(node="step", name="", type="", version=1, problem={"code": "not_found", "message": "Not there."})


def row_of(run: Run, *steps: PlannedStep) -> PlannedRow:
    return PlannedRow(run.id, 1, StoredPlan(Plan(steps=steps), "seal"))


def test_a_row_refused_by_the_first_plan_and_not_by_the_second_is_not_over() -> None:
    run = Run(client_id=uuid4(), id=uuid4(), workflow_id=uuid4(), version=1, document_hash="", mode="apply")
    run.summary = summary(())
    settle(run, row_of(run, REFUSED), "apply")
    assert run.state == "failed"
    assert run.finished_at is not None
    settle(run, row_of(run), "apply")
    assert (run.state, run.reason, run.finished_at) == ("waiting", {"code": "batch"}, None)
