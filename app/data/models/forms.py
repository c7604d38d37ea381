"""What people are asked to fill in."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Field, SQLModel

from app.core.ids import new_id
from app.data.models.base import Json, belongs_to, json_null, made_at, moment


class Form(SQLModel, table=True):
    """A form that a step asks people to fill in; it never asks for a secret.

    ``questions`` is a JSON schema, ``rule`` holds ``roles`` and ``people`` (addresses), ``state`` is open, answered,
    expired or void.
    """

    __tablename__ = "forms"
    __table_args__ = (belongs_to("runs", "run_id"),)

    client_id: UUID = Field(primary_key=True)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    run_id: UUID
    node: str
    title: str
    message: str = ""
    questions: dict[str, Any] = Field(sa_type=Json)
    rule: dict[str, Any] = Field(sa_type=Json)
    state: str = "open"
    seal: str | None = None
    asked_by: UUID | None = None
    asked_at: datetime = made_at()
    deadline: datetime | None = moment()
    remind_at: datetime | None = moment()
    reminded_at: datetime | None = moment()
    answer: dict[str, Any] | None = json_null()
    answered_by: UUID | None = None
    answered_at: datetime | None = moment()
