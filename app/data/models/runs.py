"""Runs, their plans and their history. What changes often (the claim) is in :class:`RunQueue`."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, SmallInteger
from sqlmodel import Field, SQLModel

from app.core.ids import new_id
from app.data.models.base import Json, belongs_to, computed, json_null, json_object, made_at, moment


class Run(SQLModel, table=True):
    """One execution of one version. ``of`` is the run that an undo reverses, ``parent`` the batch it is a row of.

    ``version`` None: a draft, kept in ``extra``. ``reason`` says why it waits or failed; ``sealed_plan`` is the plan
    run that was approved. ``follows`` is the run because of which this one was started (run again, error handler).
    ``has_more``: there may be results to reveal, approvals, forms, or a run that reverses or follows it; the database
    sets it.
    """

    __tablename__ = "runs"
    __table_args__ = (
        belongs_to("workflows", "workflow_id"),
        belongs_to("workflow_versions", "workflow_id", "version", key=("client_id", "workflow_id", "version")),
        belongs_to("runs", "of"),
        belongs_to("runs", "parent"),
        belongs_to("runs", "sealed_plan"),
        belongs_to("runs", "follows"),
    )

    client_id: UUID = Field(primary_key=True)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    kind: str = "run"
    of: UUID | None = None
    parent: UUID | None = None
    row_number: int | None = None
    workflow_id: UUID
    version: int | None = None
    document_hash: str
    mode: str
    inputs: dict[str, Any] = json_object()
    state: str = "queued"
    reason: dict[str, Any] | None = json_null()
    seal: str | None = None
    sealed_plan: UUID | None = None
    summary: dict[str, Any] = json_object()
    only_node: str | None = None
    started_by: UUID | None = None
    started_by_name: str = ""
    idempotency_key: str | None = None
    cancel_requested_at: datetime | None = moment()
    created_at: datetime = made_at()
    started_at: datetime | None = moment()
    finished_at: datetime | None = moment()
    label: str = ""
    extra: dict[str, Any] = json_object()
    pause_requested_at: datetime | None = moment()
    priority: int = Field(default=0, sa_type=SmallInteger)
    follows: UUID | None = None
    outcome: str | None = computed("CASE WHEN finished_at IS NOT NULL THEN state END")
    archived_at: datetime | None = moment()
    archive: str | None = None
    has_more: bool = False


class RunPlan(SQLModel, table=True):
    """What a run would change: the planned steps with their changes and problems."""

    __tablename__ = "run_plans"
    __table_args__ = (belongs_to("runs", "run_id"),)

    client_id: UUID = Field(primary_key=True)
    run_id: UUID = Field(primary_key=True)
    plan: Any = Field(sa_type=Json)
    seal: str | None = None
    created_at: datetime = made_at()


class StepEvent(SQLModel, table=True):
    """One thing that happened in a run; only ever added. ``at`` is the database's clock."""

    __tablename__ = "step_events"
    __table_args__ = (belongs_to("runs", "run_id"),)

    client_id: UUID = Field(primary_key=True)
    run_id: UUID = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    node: str
    kind: str
    attempt: int = 0
    payload: Any = Field(default_factory=dict, sa_type=Json)
    at: datetime = made_at()
    target: str | None = computed(
        "CASE WHEN kind = 'succeeded' AND payload -> 'change' ->> 'kind' <> 'none'"
        " THEN payload -> 'change' ->> 'target' END"
    )


class ArchivedChange(SQLModel, table=True):
    """What an archived step changed. The step itself is in its run's ``archive``."""

    __tablename__ = "archived_changes"
    __table_args__ = (belongs_to("runs", "run_id"),)

    client_id: UUID = Field(primary_key=True)
    run_id: UUID = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    target: str
    node: str
    kind: str
    at: datetime = made_at()


class RunWord(SQLModel, table=True):
    """A word by which an ended run is found; the database writes them."""

    __tablename__ = "run_words"

    client_id: UUID = Field(primary_key=True)
    word: str = Field(primary_key=True)
    run_id: UUID = Field(primary_key=True)


class RunQueue(SQLModel, table=True):
    """Who walks a run, and when it may be walked next. Small, hot, and without business data.

    ``ready_at`` None: nobody may claim it. ``due``: its time has come. ``fence`` is new at every claim, ``wakeups``
    grows at every wake, so that a wake during a walk is not lost. ``abandoned``: how a former worker lost it.
    ``paced``: it waits for its place in the client's start rate. ``slot`` is the digest of the run's concurrency key,
    ``slot_held`` whether it has a slot or waits for one.
    """

    __tablename__ = "run_queue"
    __table_args__ = (belongs_to("runs", "run_id"),)

    client_id: UUID = Field(primary_key=True)
    run_id: UUID = Field(primary_key=True)
    ready_at: datetime | None = moment()
    due: bool = False
    priority: int = Field(default=0, sa_type=SmallInteger)
    worker_id: UUID | None = None
    fence: int = Field(default=0, sa_type=BigInteger)
    wakeups: int = 0
    claimed_at: datetime | None = moment()
    abandoned: str | None = None
    paced: bool = False
    slot: bytes | None = None
    slot_held: bool = False


class WaveTarget(SQLModel, table=True):
    """One client of a wave. ``client_id`` and ``run_id`` are those of the wave itself, ``target`` is the client whose
    run is ``target_run``; ``reason`` says why it failed or was not run, ``summary`` counts its changes."""

    __tablename__ = "wave_targets"
    __table_args__ = (belongs_to("runs", "run_id"),)

    client_id: UUID = Field(primary_key=True)
    run_id: UUID = Field(primary_key=True)
    target: UUID = Field(primary_key=True)
    slug: str
    name: str
    stage: int = Field(sa_type=SmallInteger)
    state: str = "preparing"
    target_run: UUID | None = None
    reason: dict[str, Any] | None = json_null()
    summary: dict[str, Any] = json_object()
