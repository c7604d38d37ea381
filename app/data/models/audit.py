"""The audit chain of each client. Rows are only ever added; the database refuses anything else."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from app.data.models.base import Moment, json_object, made_at


class AuditEvent(SQLModel, table=True):
    """Who did what, when, from where, with what outcome. ``hash`` covers the row and ``prev_hash``."""

    __tablename__ = "audit_events"

    client_id: UUID = Field(primary_key=True, foreign_key="clients.client_id")
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    at: datetime = Field(sa_type=Moment)
    actor_id: UUID | None = None
    actor: str
    via: str
    ip: str | None = None
    action: str
    target: str = ""
    outcome: str = "success"
    details: dict[str, Any] = json_object()
    prev_hash: bytes
    hash: bytes


class AuditHead(SQLModel, table=True):
    """The end of a client's chain. Its row is locked, last in a transaction, to add to the chain."""

    __tablename__ = "audit_heads"

    client_id: UUID = Field(primary_key=True, foreign_key="clients.client_id")
    seq: int = Field(default=0, sa_type=BigInteger)
    hash: bytes


class AuditCheckpoint(SQLModel, table=True):
    """A signature over the chain as it stood at ``seq``."""

    __tablename__ = "audit_checkpoints"

    client_id: UUID = Field(primary_key=True, foreign_key="clients.client_id")
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    hash: bytes
    signature: bytes
    key_id: str
    at: datetime = made_at()
