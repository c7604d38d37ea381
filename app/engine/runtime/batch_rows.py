"""The rows of a batch: what becomes of each, and how they are counted together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.data.models.runs import Run
from app.engine.core.planned import Plan, PlannedStep, summary
from app.engine.core.seal import differences
from app.engine.runtime.record import Record, StoredPlan
from app.engine.runtime.store import Audit

OVER = ("succeeded", "failed", "cancelled")


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

    async def dropped(session: AsyncSession) -> None:
        found = await session.exec(select(Run).where(Run.client_id == record.client_id, Run.parent == record.run_id))
        for run in found.all():
            if run.state not in OVER and "batch_seal" not in run.extra:
                drop(run, "batch_failed")
                session.add(run)

    return dropped


def drop(run: Run, code: str) -> None:
    """End a row that was never let go: whatever was planned for it, it did nothing."""
    run.state, run.reason, run.finished_at = "cancelled", {"code": code}, utcnow()
    run.summary = summary(())


def settle(run: Run, row: PlannedRow, mode: str) -> None:
    """A planned row waits for the batch; one that would be refused, or was only planned, is over."""
    run.started_at = run.started_at or utcnow()
    if row.refused:
        run.state = "failed"
        run.reason = {**(row.refused.problem or {}), "node": row.refused.node, "phase": "plan"}
        if mode == "apply":
            run.summary = {**summary(()), "problems": run.summary["problems"]}
    elif mode == "plan":
        run.state = "succeeded"
    else:
        run.state, run.reason, run.finished_at = "waiting", {"code": "batch"}, None
        return
    run.finished_at = utcnow()


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


def counted(states: Sequence[str]) -> dict[str, int]:
    """How far the rows in these states have come."""
    over = sum(state in OVER for state in states)
    return {"rows": len(states), "over": over, "succeeded": states.count("succeeded"), "failed": states.count("failed")}
