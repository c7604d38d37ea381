"""Clients, and who may do what in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from app.core.ids import new_id
from app.data.models.base import json_object, made_at, moment


class Client(SQLModel, table=True):
    """A customer company of the MSP, or the MSP itself (``is_msp``). ``policy``: which writes need whose approval."""

    __tablename__ = "clients"

    client_id: UUID = Field(default_factory=new_id, primary_key=True)
    slug: str
    name: str
    colour: str = "slate"
    tags: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    is_msp: bool = False
    variables: dict[str, Any] = json_object()
    policy: dict[str, Any] = json_object()
    created_at: datetime = made_at()
    archived_at: datetime | None = moment()


class Membership(SQLModel, table=True):
    """The role of an account in a client. ``client_id`` is the client it holds in, not the account's home."""

    __tablename__ = "memberships"

    client_id: UUID = Field(primary_key=True, foreign_key="clients.client_id")
    account_id: UUID = Field(primary_key=True, foreign_key="accounts.id")
    role: str
    created_at: datetime = made_at()
    created_by: UUID | None = None


class ClientLimits(SQLModel, table=True):
    """What a client may take; None everywhere: as much as there is. ``history_days`` None: the installation's default.

    ``next_start_at`` is when the next run of a client with a start rate may begin.
    """

    __tablename__ = "client_limits"

    client_id: UUID = Field(primary_key=True, foreign_key="clients.client_id")
    max_running: int | None = None
    starts_per_minute: int | None = None
    next_start_at: datetime | None = moment()
    history_days: int | None = None
