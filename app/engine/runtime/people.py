"""What people are asked in the middle of a run: approvals and forms, their answers, deadlines and reminders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.ids import new_id
from app.data.models.approvals import Approval
from app.data.models.forms import Form
from app.data.repositories import audit
from app.data.session import tenant_session
from app.engine.core.events import StepFailed, StepSucceeded, StepWaiting
from app.engine.core.graph import GraphNode
from app.engine.core.values import to_json
from app.engine.runtime.gate import AnsweredMeanwhile, expiring
from app.engine.runtime.perform import Performer
from app.engine.runtime.record import Record
from app.engine.runtime.store import Audit
from app.engine.steps.base import Fill

Json = dict[str, Any]
_APPROVE = "approve"


@dataclass
class People:
    """The people that one walk waits for. ``record`` is the run as it was loaded last."""

    performer: Performer
    record: Record
    forms: dict[str, Form] = field(default_factory=dict)

    async def heed(self, record: Record) -> list[str]:
        """Turn answers, and deadlines that have passed, into events. Gives the steps that may act now."""
        self.record = record
        await self._load_forms()
        state = self.performer.journal.state
        if state.stopping or state.paused:
            return []
        found = [name for name in state.names(state.waiting) if self._heed(name)]
        await self._remind()
        return found

    def times(self) -> list[datetime]:
        """When an open question runs out, or people are to be reminded of one."""
        asked = [one for _, one in self._open()]
        reminders = [one["remind_at"] for one in asked if one["remind_at"] and not one["reminded_at"]]
        return [*reminders, *(one["deadline"] for one in asked if one["deadline"])]

    async def ask(self, node: GraphNode, fill: Fill) -> None:
        """Let a step wait until its form is filled in."""
        now = self.performer.now()
        row = self._row(node, fill, now)
        what = {
            "kind": "form",
            "form": str(row.id),
            "title": fill.title,
            "roles": row.rule["roles"],
            "people": row.rule["people"],
            "deadline": row.deadline.isoformat() if row.deadline else None,
            "default": to_json(fill.default),
            "ports": {"answered": fill.port, "timeout": fill.timeout_port},
        }
        record = self.record

        async def ask(session: AsyncSession) -> None:
            session.add(row)
            details = {"run": str(record.run_id), "node": node.id}
            await audit.record(session, record.context, action="form_asked", target=f"form:{row.id}", details=details)

        # Noted together: a commit of another branch may take the event first, and the form must go with it.
        self.performer.journal.note(StepWaiting(node.id, what), ask)
        await self.performer.journal.flush()
        self.performer.asked = True

    def withdrawn(self, name: str) -> Audit | None:
        """Work that withdraws what a step asks people, where it does: nobody is to answer what counts no more."""
        kind = (self.performer.journal.state.node(name).waiting_for or {}).get("kind")
        model: type[Approval] | type[Form] | None = {"approval": Approval, "form": Form}.get(kind)
        if model is None:
            return None
        record = self.record

        async def withdraw(session: AsyncSession) -> None:
            # Found by its step: what this very walk has asked is not among what it was loaded with.
            query = select(model).where(
                model.client_id == record.client_id,
                model.run_id == record.run_id,
                model.node == name,
                model.state == "open",
            )
            for row in (await session.exec(query.with_for_update())).all():
                row.state = "void"
                if isinstance(row, Approval):
                    row.decided_at = self.performer.now()
                session.add(row)

        return withdraw

    def _row(self, node: GraphNode, fill: Fill, now: datetime) -> Form:
        deadline = now + timedelta(seconds=fill.deadline_s) if fill.deadline_s else None
        sealed = self.performer.sealed
        started_by = self.record.run["started_by"]
        return Form(
            client_id=self.record.client_id,
            id=new_id(),
            run_id=self.record.run_id,
            node=node.id,
            title=fill.title,
            message=fill.message,
            questions=to_json(fill.fields),
            rule={"roles": [] if fill.people else list(fill.roles), "people": list(fill.people)},
            seal=sealed.seal if sealed else None,
            asked_by=UUID(started_by) if started_by else None,
            deadline=deadline,
            remind_at=deadline - timedelta(seconds=fill.remind_s) if deadline and fill.remind_s else None,
        )

    async def _load_forms(self) -> None:
        state = self.performer.journal.state
        names = [n for n in state.names(state.waiting) if (state.node(n).waiting_for or {}).get("kind") == "form"]
        self.forms = {}
        if not names:
            return
        async with tenant_session(self.record.client_id) as session:
            found = await session.exec(
                select(Form)
                .where(Form.client_id == self.record.client_id, Form.run_id == self.record.run_id)
                .where(col(Form.node).in_(names))
                .order_by(col(Form.id))
            )
            self.forms = {row.node: row for row in found.all()}

    def _heed(self, name: str) -> bool:
        kind = (self.performer.journal.state.node(name).waiting_for or {}).get("kind")
        if kind == "form":
            self._heed_form(name)
        return kind == "approval" and self._heed_approval(name)

    def _heed_approval(self, name: str) -> bool:
        """Go on with a step whose question has been answered; whether it may act now."""
        what = dict(self.performer.journal.state.node(name).waiting_for or {})
        approval = self.performer.gate.of_node(name)
        if approval is None or what.get("approval") not in (None, approval["id"]):
            return False  # the question is on its way; an older one of the step has an answer that no longer counts
        if approval["state"] == "open":
            if not self._is_late(_moment(approval["deadline"])):
                return False
            approval = {**approval, "state": "expired", "late": True}
        if what.get("reason") == "step":
            self._answered(name, approval, what["ports"])
        elif approval["state"] == "approved":
            return True
        else:
            error = {"code": f"approval_{approval['state']}", "remedy": "Rejected", "message": "It was not approved."}
            self.performer.journal.note(StepFailed(name, error), self._expiring(approval))
        return False

    def _is_late(self, deadline: datetime | None) -> bool:
        return deadline is not None and deadline <= self.performer.now()

    def _answered(self, name: str, approval: Json, ports: Json) -> None:
        """An approval step leaves by the port of its answer; an expired one as if nobody had agreed, unless both the
        workflow and the client's policy take silence for a yes."""
        state = approval["state"]
        silent = state == "expired" and approval["rule"].get("silence") == _APPROVE and self._silence_may_approve()
        approved = state == "approved" or silent
        port = ports["approved"] if approved else {"denied": ports["denied"]}.get(state, ports["timeout"])
        by = [decision["name"] for decision in approval["rule"].get("decided", [])]
        output = {"approved": approved, "by": by, "reason": approval["rule"].get("answer")}
        work = self._expiring(approval, approved=silent)
        self.performer.journal.note(StepSucceeded(name, output=output, port=str(port)), work)

    def _expiring(self, approval: Json, *, approved: bool = False) -> Audit | None:
        """Work that closes the question where its time has just run out."""
        late = approval.get("late", False)
        return expiring(self.record, approval, self.performer.now(), approved=approved) if late else None

    def _silence_may_approve(self) -> bool:
        return (self.record.client["policy"] or {}).get("silence_may_approve") is True

    def _heed_form(self, name: str) -> None:
        what, row = dict(self.performer.journal.state.node(name).waiting_for or {}), self.forms.get(name)
        if row is None:
            return
        if row.state == "answered":
            self.performer.journal.note(StepSucceeded(name, output=row.answer, port=what["ports"]["answered"]))
        elif row.state == "open" and self._is_late(row.deadline):
            default = what.get("default")
            port = what["ports"]["timeout" if default is None else "answered"]
            nothing = dict.fromkeys(row.questions.get("properties") or {})
            output = nothing if default is None else default
            self.performer.journal.note(StepSucceeded(name, output=output, port=port), _form_expiring(self.record, row))

    def _open(self) -> Iterator[tuple[type[Approval] | type[Form], Json]]:
        """Open questions of steps that wait, approvals and forms alike."""
        state = self.performer.journal.state
        for name in state.names(state.waiting):
            approval = self.performer.gate.of_node(name)
            if approval is not None and approval["state"] == "open":
                times = {key: _moment(approval.get(key)) for key in ("deadline", "remind_at", "reminded_at")}
                yield Approval, {"id": approval["id"], **times}
            row = self.forms.get(name)
            if row is not None and row.state == "open":
                yield Form, row.model_dump(include={"id", "deadline", "remind_at", "reminded_at"})

    async def _remind(self) -> None:
        now = self.performer.now()
        late = [
            (kind, one)
            for kind, one in self._open()
            if one["remind_at"] and one["remind_at"] <= now and not one["reminded_at"]
        ]
        if late:
            await self.performer.journal.flush(None, None, *(_reminding(self.record, *one, now) for one in late))
            # It shows in what is loaded next; that is now, so that the same reminder is not due again.
            self.performer.asked = True


async def _locked(session: AsyncSession, kind: type[Any], record: Record, row_id: Any) -> Any:
    return await session.get(kind, (record.client_id, UUID(str(row_id))), with_for_update=True, populate_existing=True)


def _reminding(record: Record, kind: type[Approval] | type[Form], asked: Json, now: datetime) -> Audit:
    """Work that reminds people of an open question, once."""
    word = "approval" if kind is Approval else "form"

    async def remind(session: AsyncSession) -> None:
        row = await _locked(session, kind, record, asked["id"])
        if row is None or row.state != "open" or row.reminded_at is not None:
            return
        row.reminded_at = now
        session.add(row)
        await session.flush()
        deadline = row.deadline.isoformat() if row.deadline else None
        who = {name: row.rule.get(name, []) for name in ("roles", "people")}
        details = {"run": str(record.run_id), "node": row.node, "deadline": deadline, **who}
        await audit.record(
            session, record.context, action=f"{word}_reminded", target=f"{word}:{row.id}", details=details
        )

    return remind


def _form_expiring(record: Record, form: Form) -> Audit:
    """Work that closes a form whose time has run out."""

    async def expire(session: AsyncSession) -> None:
        row = await _locked(session, Form, record, form.id)
        if row is None or row.state != "open":
            raise AnsweredMeanwhile
        row.state = "expired"
        session.add(row)
        await session.flush()
        details = {"run": str(record.run_id), "node": row.node}
        await audit.record(session, record.context, action="form_expired", target=f"form:{row.id}", details=details)

    return expire


def _moment(raw: str | None) -> datetime | None:
    return datetime.fromisoformat(raw) if raw else None
