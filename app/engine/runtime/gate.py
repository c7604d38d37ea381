"""Who must say yes before a run writes, and what it waits for. Enforced here, whatever the workflow has drawn.

An approval counts for one seal: the run's own, or that of the batch it is a row of. When the seal moves, what was said
of the old one is void.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import col, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.core.ids import new_id
from app.data.models.approvals import Approval
from app.data.models.forms import Form
from app.data.repositories import audit
from app.engine.core.planned import Plan, PlannedStep
from app.engine.core.policy import Requirement, Write, missing, required, requirement_key
from app.engine.core.seal import change_differences
from app.engine.runtime.record import Record
from app.engine.runtime.store import Audit
from app.engine.steps.base import Ask

Json = dict[str, Any]

# Who may confirm that a run goes on although the world has moved, where the policy itself asks nobody: whoever may
# start runs there, the person who started it included.
CONFIRMERS = ("owner", "engineer", "helpdesk")
CONFIRM = "confirm"


class AnsweredMeanwhile(Exception):
    """A question was to expire, and somebody has answered it: the run is loaded again and sees the answer."""


@dataclass(frozen=True)
class Question:
    """An approval that has to be asked for.

    ``own`` allows the person who started the run to answer it. ``change`` is the one write it is about, where a step
    finds the world moved in the middle of a run. ``people`` (addresses), where some are named, are the only ones who
    may answer it; ``remind_s`` is how long before the deadline they are reminded.
    """

    requirement: Requirement
    reason: str
    title: str
    node: str | None = None
    own: bool = False
    deadline_s: float | None = None
    change: Json | None = None
    people: tuple[str, ...] = ()
    silence: str = "deny"
    remind_s: float | None = None
    id: UUID = field(default_factory=new_id)

    def as_row(self, record: Record, seal: str | None, now: datetime) -> Approval:
        """The question as a row; ``now`` is the time by the database's clock."""
        deadline = now + timedelta(seconds=self.deadline_s) if self.deadline_s else None
        rule = {
            "key": self.requirement.key,
            # Where people are named, no role is enough.
            "roles": [] if self.people else list(self.requirement.roles),
            "people": list(self.people),
            "silence": self.silence,
            "count": self.requirement.count,
            "nodes": list(self.requirement.nodes),
            "reason": self.reason,
            "own": self.own,
            "change": self.change,
            # Nobody who asked for, wrote or published what is decided may decide it, nor who had it start by itself.
            # Who filled in a form of the run is added where the question is asked.
            "excluded": [str(person) for person in (record.author, record.publisher) if person] + authors_of(record),
        }
        return Approval(
            client_id=record.client_id,
            id=self.id,
            run_id=record.run_id,
            node=self.node,
            seal=seal,
            title=self.title,
            rule=rule,
            asked_by=UUID(record.run["started_by"]) if record.run["started_by"] else None,
            deadline=deadline,
            remind_at=deadline - timedelta(seconds=self.remind_s) if deadline and self.remind_s else None,
        )


def authors_of(record: Record) -> list[str]:
    """Who wrote the trigger that started the run, or the run that is undone, whoever else had a hand in what it does,
    and who had it tried again."""
    extras = [record.run.get("extra") or {}, (record.origin.run.get("extra") or {}) if record.origin else {}]
    wrote = [person for extra in extras for person in (extra.get("trigger") or {}).get("people", ())]
    asked = [request["account"] for extra in extras for request in extra.get("requests", ()) if request.get("account")]
    hands = [person for extra in extras for person in extra.get("hands", ())]
    return [*wrote, *asked, *hands]


def writes_of(steps: Iterable[PlannedStep]) -> list[Write]:
    """The writes in a plan that a policy speaks of."""
    return [Write(node=step.node, action=step.type, risk=step.risk) for step in steps if step.writes]


class Gate:
    """One run's approvals as they were when it was loaded."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._extra: Json = record.run["extra"] or {}

    def standing(self, seal: str) -> list[Json]:
        """The approvals of the whole run that speak of ``seal``, or of the batch as whose row it was sealed so.

        A question of a single step is about that step alone, and what a workflow itself asks is no policy's answer.
        """
        seals = {seal}
        if self._extra.get("row_seal") == seal:
            seals.add(self._extra["batch_seal"])
        return [a for a in self._record.approvals if a["seal"] in seals and a["node"] is None]

    def approved(self, seal: str) -> set[str]:
        """Keys of the requirements that are satisfied for ``seal``: none where a person wrote what a step gave. What is
        sealed as unknown may be anything, and whoever agreed to it had the platform's word in mind."""
        if any("output" in request for request in self._extra.get("requests", ())):
            return set()
        return {a["rule"]["key"] for a in self.standing(seal) if a["state"] == "approved"}

    def open(self, seal: str) -> list[Json]:
        """Questions about the whole run that nobody has answered yet."""
        return [a for a in self.standing(seal) if a["state"] == "open"]

    def refused(self, seal: str) -> Json | None:
        """The gate's approval that was denied or ran out, if one was."""
        gone = ("denied", "expired")
        return next((a for a in self.standing(seal) if a["state"] in gone), None)

    def of_node(self, node: str) -> Json | None:
        """The newest question that ``node`` has asked."""
        return next((a for a in reversed(self._record.approvals) if a["node"] == node), None)

    def agreed(self, node: str, change: Json) -> set[str]:
        """Keys of what people agreed to about this very change of ``node``, asked in the middle of the run."""
        return {
            a["rule"]["key"]
            for a in self._record.approvals
            if a["node"] == node and a["state"] == "approved" and _is_about(a["rule"].get("change"), change)
        }

    def unmet(self, writes: Sequence[Write], satisfied: set[str]) -> list[Requirement]:
        """What the client's policy still asks for before ``writes`` may be made."""
        return missing(required(self._record.client["policy"] or None, writes), satisfied)

    def questions(self, plan: Plan, seal: str, *, moved: bool) -> list[Question]:
        """What has to be asked before ``plan`` may be carried out: at most one question, whose answer leads to the next
        look. ``moved``: the world is not as it was sealed."""
        title = self._record.run["label"] or ""
        asked = [
            Question(found, "moved" if moved else "policy", title)
            for found in self.unmet(writes_of(plan.steps), self.approved(seal))
        ]
        drifted = any(step.drift for step in plan.steps)
        if not asked and (moved or drifted) and not self.approved(seal):
            everything = Requirement(CONFIRM, CONFIRMERS, 1, tuple(step.node for step in plan.writes))
            asked.append(Question(everything, "moved" if moved else "drift", title, own=True))
        return asked[:1]


def _is_about(agreed: Json | None, change: Json) -> bool:
    return agreed is not None and not change_differences(agreed, change)


def step_question(node: str, ask: Ask) -> Question:
    """The question that an approval step asks."""
    roles = tuple(sorted(ask.roles))
    requirement = Requirement(requirement_key(roles, ask.count), roles, ask.count, (node,))
    return Question(
        requirement,
        "step",
        ask.title,
        node=node,
        deadline_s=ask.deadline_s,
        people=ask.people,
        silence=ask.silence,
        remind_s=ask.remind_s,
    )


def kept_plan(plan: Plan) -> Json:
    """The part of a run's patch that keeps ``plan`` as its own. It was made before whatever it is written with."""
    return {"plan": plan.model_dump(mode="json"), "plan_at": utcnow().isoformat()}


def asking(record: Record, questions: Sequence[Question], seal: str | None, now: datetime | None = None) -> Audit:
    """Work that asks ``questions`` and withdraws what was asked of another seal. ``now`` by the database's clock."""

    async def ask(session: AsyncSession) -> None:
        if any(question.node is None for question in questions):
            await _void_others(session, record, seal)
        answered = await who_answered(session, record.client_id, record.run_id)
        for question in questions:
            row = question.as_row(record, seal, now or record.clock.now())
            row.rule = {**row.rule, "excluded": [*row.rule["excluded"], *map(str, answered)]}
            if await session.get(Approval, (row.client_id, row.id)) is None:
                session.add(row)
                details = {"run": str(record.run_id), "reason": question.reason, "node": question.node}
                target = f"approval:{row.id}"
                await audit.record(session, record.context, action="approval_asked", target=target, details=details)

    return ask


async def who_answered(session: AsyncSession, client_id: UUID, run_id: UUID) -> list[UUID]:
    """Who filled in forms of a run: what they said is part of what it does, so they do not decide it."""
    found = await session.exec(
        select(Form.answered_by)
        .where(Form.client_id == client_id, Form.run_id == run_id, col(Form.answered_by).is_not(None))
        .distinct()
    )
    return [person for person in found.all() if person]


def expiring(record: Record, asked: Json, now: datetime, *, approved: bool = False) -> Audit:
    """Work that closes a question whose time has run out, ``now`` by the database's clock. ``approved``: silence was
    taken for a yes. It raises AnsweredMeanwhile where the question is open no longer."""

    async def expire(session: AsyncSession) -> None:
        key = (record.client_id, UUID(asked["id"]))
        # Locked, and read behind whoever decides at this moment: an answer that was accepted counts.
        approval = await session.get(Approval, key, with_for_update=True, populate_existing=True)
        if approval is None or approval.state != "open":
            raise AnsweredMeanwhile
        approval.state, approval.decided_at = "expired", now
        session.add(approval)
        await session.flush()
        details = {"run": str(record.run_id), "approved": approved}
        target = f"approval:{approval.id}"
        await audit.record(session, record.context, action="approval_expired", target=target, details=details)

    return expire


def withdrawing(record: Record) -> Audit:
    """Work that withdraws every open question of a run that is over."""

    async def withdraw(session: AsyncSession) -> None:
        await _void_others(session, record, None)

    return withdraw


def closing(client_id: UUID, run_id: UUID) -> Audit:
    """Work that withdraws all that a run still asks people, where it ends without having been walked to its end."""

    async def close(session: AsyncSession) -> None:
        for model in (Approval, Form):
            here = (col(model.client_id) == client_id, col(model.run_id) == run_id, col(model.state) == "open")
            closed = {"decided_at": func.clock_timestamp()} if model is Approval else {}
            await session.exec(update(model).where(*here).values(state="void", **closed))

    return close


async def _void_others(session: AsyncSession, record: Record, seal: str | None) -> None:
    found = await session.exec(
        select(Approval)
        .where(
            Approval.client_id == record.client_id,
            Approval.run_id == record.run_id,
            col(Approval.state).in_(("open", "approved")),
            col(Approval.seal).is_distinct_from(seal) if seal else col(Approval.state) == "open",
        )
        # What is decided at this moment is waited for, and stays decided.
        .with_for_update()
    )
    for approval in found.all():
        approval.state, approval.decided_at = "void", record.clock.now()
        session.add(approval)
