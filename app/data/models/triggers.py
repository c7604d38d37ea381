"""What starts runs by itself: triggers, their firings, and what has happened."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid
from sqlmodel import Field, SQLModel

from app.core.ids import new_id
from app.data.models.base import belongs_to, json_null, json_object, made_at, moment


class Trigger(SQLModel, table=True):
    """One way in which runs of a workflow start. ``version`` None: whichever is published then.

    ``listens`` is what an event trigger waits for. ``enabled_by`` is on whose behalf it starts, ``authors`` who wrote
    it; ``stopped`` says why it switched itself off. ``next_due`` is the next time of its schedule, ``next_at`` the same
    with its spread. ``drift`` is what the last check of a watch found.
    """

    __tablename__ = "triggers"
    __table_args__ = (
        belongs_to("workflows", "workflow_id"),
        belongs_to("workflow_versions", "workflow_id", "version", key=("client_id", "workflow_id", "version")),
    )

    client_id: UUID = Field(primary_key=True, foreign_key="clients.client_id")
    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str
    kind: str
    workflow_id: UUID
    version: int | None = None
    mode: str
    inputs: dict[str, Any] = json_object()
    config: dict[str, Any] = json_object()
    listens: str | None = None
    watch: bool = False
    enabled: bool = False
    enabled_by: UUID | None = None
    enabled_by_name: str = ""
    enabled_at: datetime | None = moment()
    stopped: dict[str, Any] | None = json_null()
    authors: list[UUID] = Field(default_factory=list, sa_type=ARRAY(Uuid))  # type: ignore[call-overload]
    next_due: datetime | None = moment()
    next_at: datetime | None = moment()
    token_hash: bytes | None = None
    secret_hash: bytes | None = None
    drift: dict[str, Any] | None = json_null()
    last_firing: dict[str, Any] | None = json_null()
    revision: int = 1
    created_by: UUID | None = None
    created_at: datetime = made_at()
    updated_at: datetime = made_at()
    removed_at: datetime | None = moment()


class TriggerFiring(SQLModel, table=True):
    """One firing. ``key`` is a due time, a delivery's id or a happening: the same key fires once.

    ``outcome`` is started, skipped or refused; ``why`` says why it was not started. ``depth`` counts the starts by
    events that led here.
    """

    __tablename__ = "trigger_firings"
    __table_args__ = (belongs_to("triggers", "trigger_id"),)

    client_id: UUID = Field(primary_key=True)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    trigger_id: UUID
    key: str
    due: datetime | None = moment()
    at: datetime = made_at()
    outcome: str
    run_id: UUID | None = None
    why: dict[str, Any] | None = json_null()
    depth: int = 0


class Happening(SQLModel, table=True):
    """Something that may start runs, until it has been dealt with. ``subject`` is a run, an approval or a trigger."""

    __tablename__ = "happenings"

    client_id: UUID = Field(primary_key=True, foreign_key="clients.client_id")
    id: UUID = Field(default_factory=new_id, primary_key=True)
    kind: str
    subject: UUID
    details: dict[str, Any] = json_object()
    depth: int = 0
    at: datetime = made_at()
    ready_at: datetime = made_at()
    attempts: int = 0
