"""What people are asked, what they decided, and secrets that are shown once."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Field, SQLModel

from app.core.ids import new_id
from app.data.models.base import Json, Moment, belongs_to, made_at, moment


class Approval(SQLModel, table=True):
    """A question. ``node`` None means the gate of the whole run; ``seal`` binds the answer to what was seen.

    ``rule`` holds ``roles`` or ``people`` (addresses), ``count`` and ``reason``; ``state`` is open, approved, denied,
    expired or void.
    """

    __tablename__ = "approvals"
    __table_args__ = (belongs_to("runs", "run_id"),)

    client_id: UUID = Field(primary_key=True)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    run_id: UUID
    node: str | None = None
    seal: str | None = None
    title: str
    rule: dict[str, Any] = Field(sa_type=Json)
    state: str = "open"
    asked_by: UUID | None = None
    asked_at: datetime = made_at()
    deadline: datetime | None = moment()
    remind_at: datetime | None = moment()
    reminded_at: datetime | None = moment()
    decided_at: datetime | None = moment()


class ApprovalDecision(SQLModel, table=True):
    """One person's answer; only ever added, one for each account."""

    __tablename__ = "approval_decisions"
    __table_args__ = (belongs_to("approvals", "approval_id"),)

    client_id: UUID = Field(primary_key=True)
    approval_id: UUID = Field(primary_key=True)
    account_id: UUID = Field(primary_key=True)
    decision: str
    reason: str = ""
    seal: str | None = None
    at: datetime = made_at()
    mfa: bool = False


class Reveal(SQLModel, table=True):
    """A one-time reference to a secret in the vault. The row never holds the secret."""

    __tablename__ = "reveals"
    __table_args__ = (belongs_to("runs", "run_id"),)

    client_id: UUID = Field(primary_key=True)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    run_id: UUID
    node: str
    name: str
    title: dict[str, Any] = Field(sa_type=Json)
    vault_path: str
    created_at: datetime = made_at()
    expires_at: datetime = Field(sa_type=Moment)
    revealed_at: datetime | None = moment()
    revealed_by: UUID | None = None
    link_hash: bytes | None = None
