"""The rows of a batch: what becomes of each, and how they are counted together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.run_states import OVER
from app.data.repositories import batches
from app.engine.core.planned import Plan, PlannedStep, summary
from app.engine.core.seal import differences
from app.engine.runtime.record import Record, StoredPlan
from app.engine.runtime.store import Audit

Json = dict[str, Any]
NOTHING = summary(())


@dataclass(frozen=True)
class PlannedRow:
    """One row with its plan. ``moved``: it is not as it was in the plan that the batch was started from."""

    run_id: UUID
    number: int
    stored: StoredPlan
    moved: bool = False

    @property
    def refused(self) -> PlannedStep | None:
        """The first step that the platform would refuse."""
        return next(iter(self.stored.plan.problems), None)


def dropping(record: Record) -> Audit:
    """Work that closes the rows of a batch which ends before they were let go: nobody else would."""
    return lambda session: batches.drop(session, record.client_id, record.run_id, "batch_failed", NOTHING)


def settled(row: PlannedRow, mode: str) -> Json:
    """What is kept of a planned row. It waits for the batch, or is over: it would be refused, or was only planned."""
    plan = row.stored.plan
    kept: Json = {"id": row.run_id, "plan": plan.model_dump(mode="json"), "seal": row.stored.seal}
    kept |= {"summary": summary(plan.steps), "state": "succeeded", "reason": None, "over": True}
    if row.refused:
        kept |= {
            "state": "failed",
            "reason": {**(row.refused.problem or {}), "node": row.refused.node, "phase": "plan"},
        }
        if mode == "apply":
            kept["summary"] = {**NOTHING, "problems": kept["summary"]["problems"]}
    elif mode == "apply":
        kept |= {"state": "waiting", "reason": {"code": "batch"}, "over": False}
    return kept


def compared(sealed: StoredPlan, plan: Plan) -> Plan:
    """``plan`` with what it does otherwise than the sealed one."""
    return plan.model_copy(update={"differences": tuple(differences(sealed.plan.changes, plan.changes))})


def of_row(row: PlannedRow, step: PlannedStep) -> PlannedStep:
    """A row's step as one of the whole batch's plan."""
    return step.model_copy(update={"node": f"{row.number}:{step.node}"})


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sums of what is counted under the same name."""
    total: dict[str, int] = {}
    for found in counts:
        for name, number in found.items():
            total[name] = total.get(name, 0) + number
    return total


def counted(states: Mapping[str, int]) -> dict[str, int]:
    """How far the rows have come, of which so many are in which state."""
    over = sum(states.get(state, 0) for state in OVER)
    found = {state: states.get(state, 0) for state in ("succeeded", "failed")}
    return {"rows": sum(states.values()), "over": over, **found}
