"""Runs as pages, the API and the command line see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from app.data.models.approvals import Approval, ApprovalDecision, Reveal
from app.data.models.runs import Run, RunPlan
from app.data.repositories.run_reading import RunRecord

Json = dict[str, Any]
AnyRun = Run | RunRecord

# Runs of one client with a higher number are taken first.
PRIORITIES = {"low": -10, "normal": 0, "high": 10}
PRIORITY_NAMES = {number: name for name, number in PRIORITIES.items()}


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class RunRow(_View):
    """A run as lists show it. ``reason`` says why it waits or how it failed, with a ``code`` and often a ``node``.

    ``follows`` is the run because of which it was started, and ``why`` as what: ``again`` or ``handler``; an undo has
    ``of``, and ``why`` is ``compensation`` where no person asked for it.
    """

    id: UUID
    kind: str
    mode: str
    state: str
    of: UUID | None
    parent: UUID | None
    row_number: int | None
    workflow_id: UUID
    workflow_name: str
    version: int | None
    label: str
    reason: Json | None
    summary: dict[str, int]
    seal: str | None
    started_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: dict[str, int] | None = None
    archived_at: datetime | None = None
    archive: str | None = None
    priority: str = "normal"
    follows: UUID | None = None
    why: str | None = None


class StepView(_View):
    """One step of a run. ``params`` is its input as rendered; ``attempts`` are its tries, oldest first.

    ``kept``: it did not run here; its output is an earlier run's (``kept``), or a person wrote it (``edited``).
    """

    node: str
    name: str
    type: str
    state: str
    attempt: int
    output: Any = None
    change: Json | None = None
    error: Json | None = None
    params: Json | None = None
    port: str | None = None
    adopted: bool = False
    kept: str | None = None
    waiting_for: Json | None = None
    maybe: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: tuple[Json, ...] = ()


class DecisionView(_View):
    """What one person said."""

    name: str
    decision: str
    reason: str
    at: datetime


class ApprovalView(_View):
    """A question about a run. ``may_decide`` says whether whoever looks may answer it, ``why_not`` why not;
    ``decided_at`` when it was closed: answered, run out, or void."""

    id: UUID
    run_id: UUID
    node: str | None
    title: str
    why: str
    roles: tuple[str, ...]
    people: tuple[str, ...] = ()
    count: int
    nodes: tuple[str, ...]
    state: str
    seal: str | None
    asked_by: str
    asked_at: datetime
    deadline: datetime | None
    reminded_at: datetime | None = None
    decided_at: datetime | None = None
    silence: str = "deny"
    decisions: tuple[DecisionView, ...] = ()
    may_decide: bool = False
    why_not: str | None = None
    change: Json | None = None
    workflow_name: str = ""
    label: str = ""
    summary: dict[str, int] = {}
    kind: str = "run"
    of: UUID | None = None


class FormView(_View):
    """A form that people are asked to fill in.

    ``fields`` is a JSON schema; ``may_answer`` says whether whoever looks may answer it, ``why_not`` why not.
    """

    id: UUID
    run_id: UUID
    node: str
    title: str
    message: str
    fields: Json
    roles: tuple[str, ...]
    people: tuple[str, ...]
    state: str
    asked_by: str
    asked_at: datetime
    deadline: datetime | None
    reminded_at: datetime | None
    answer: Json | None
    answered_by: str
    answered_at: datetime | None
    may_answer: bool = False
    why_not: str | None = None
    workflow_name: str = ""
    label: str = ""


class RevealView(_View):
    """A secret that a step made and that can be handed over once."""

    id: UUID
    node: str
    name: str
    title: dict[str, str]
    expires_at: datetime
    revealed_at: datetime | None


class Followed(_View):
    """A run that was started because of another. ``why`` is ``again``, ``handler`` or ``compensation``."""

    id: UUID
    why: str
    state: str


class RunView(RunRow):
    """One run with everything about it. ``plan`` is the list of planned steps, ``differences`` how the last plan
    departed from the one that was sealed before it.

    ``undone_by`` is the newest undo that was started, ``undone_state`` how far it is.
    ``effects`` are the steps that changed something so far, ``seq`` the number of its last event. ``at`` is set where
    it is shown as it was at a past moment. ``followed_by`` are the runs that were started because of this one.

    A batch has its rows in ``runs``, their plans together in ``plan`` (nodes are ``row:node``), how many are in which
    state in ``row_states``, and in ``held_back`` the rows that were wrong.
    """

    inputs: Json
    document: Json
    steps: tuple[StepView, ...]
    plan: tuple[Json, ...]
    differences: tuple[Json, ...]
    approvals: tuple[ApprovalView, ...]
    reveals: tuple[RevealView, ...]
    forms: tuple[FormView, ...] = ()
    undone_by: UUID | None = None
    undone_state: str | None = None
    left_behind: tuple[str, ...] = ()
    held_back: tuple[Json, ...] = ()
    runs: tuple[RunRow, ...] = ()
    row_states: dict[str, int] = {}
    cancel_requested_at: datetime | None = None
    pause_requested_at: datetime | None = None
    effects: tuple[str, ...] = ()
    followed_by: tuple[Followed, ...] = ()
    seq: int = 0
    at: datetime | None = None


def row_fields(run: AnyRun, workflow_name: str) -> Json:
    """What a row of the list holds."""
    return {
        "id": run.id,
        "kind": run.kind,
        "mode": run.mode,
        "state": run.state,
        "of": run.of,
        "parent": run.parent,
        "row_number": run.row_number,
        "workflow_id": run.workflow_id,
        "workflow_name": workflow_name,
        "version": run.version,
        "label": run.label,
        "reason": run.reason,
        "summary": run.summary,
        "seal": run.seal,
        "started_by": run.started_by_name,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "progress": run.extra.get("progress"),
        "archived_at": run.archived_at,
        "archive": run.archive,
        "priority": PRIORITY_NAMES.get(run.priority, "normal"),
        "follows": run.follows,
        "why": run.extra.get("why"),
    }


def plans_together(rows: Sequence[tuple[Run, RunPlan]]) -> tuple[Json, ...]:
    """The plans of a batch's rows as one."""
    return tuple(step_of_row(run.row_number, run.label, step) for run, plan in rows for step in plan.plan["steps"])


def step_of_row(number: int | None, label: str, step: Json) -> Json:
    """A planned step of a row as one of its batch."""
    return {**step, "node": f"{number}:{step['node']}", "name": f"{label} · {step['name']}"}


def reveal_view(reveal: Reveal) -> RevealView:
    return RevealView(
        id=reveal.id,
        node=reveal.node,
        name=reveal.name,
        title=reveal.title,
        expires_at=reveal.expires_at,
        revealed_at=reveal.revealed_at,
    )


def approval_fields(approval: Approval, decisions: Sequence[ApprovalDecision], names: Mapping[UUID, str]) -> Json:
    """What an approval shows, whoever looks."""
    rule = approval.rule
    said = [
        DecisionView(name=names.get(d.account_id, ""), decision=d.decision, reason=d.reason, at=d.at)
        for d in decisions
        if d.approval_id == approval.id
    ]
    return {
        "id": approval.id,
        "run_id": approval.run_id,
        "node": approval.node,
        "title": approval.title,
        "why": rule.get("reason", ""),
        "roles": tuple(rule.get("roles", ())),
        "people": tuple(rule.get("people", ())),
        "silence": rule.get("silence", "deny"),
        "reminded_at": approval.reminded_at,
        "decided_at": approval.decided_at,
        "count": rule.get("count", 1),
        "nodes": tuple(rule.get("nodes", ())),
        "state": approval.state,
        "seal": approval.seal,
        "asked_by": names.get(approval.asked_by, "") if approval.asked_by else "",
        "asked_at": approval.asked_at,
        "deadline": approval.deadline,
        "decisions": tuple(said),
        "change": rule.get("change"),
    }
