"""Accounts, and what proves who someone is: sessions and API tokens. ``client_id`` is the account's home client."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from app.core.ids import new_id
from app.data.models.base import Json, Moment, belongs_to, made_at, moment


class Account(SQLModel, table=True):
    """A person who signs in. ``email_key`` is the address as it is compared (NFKC, casefold), unique everywhere.

    ``totp_secret`` is encrypted by the service, ``recovery_codes`` are hashes.
    """

    __tablename__ = "accounts"

    client_id: UUID = Field(primary_key=True, foreign_key="clients.client_id")
    id: UUID = Field(default_factory=new_id, primary_key=True)
    email: str
    email_key: str
    name: str
    password_hash: str | None = None
    totp_secret: bytes | None = None
    totp_last_timecode: int | None = Field(default=None, sa_type=BigInteger)
    totp_confirmed_at: datetime | None = moment()
    recovery_codes: list[Any] = Field(default_factory=list, sa_type=Json)
    locale: str = "en"
    theme: str = "system"
    disabled_at: datetime | None = moment()
    failed_attempts: int = 0
    locked_until: datetime | None = moment()
    created_at: datetime = made_at()
    last_sign_in_at: datetime | None = moment()


class AccountSession(SQLModel, table=True):
    """A signed-in browser. Only the hash of its token is kept; a rotated session names the one that replaced it."""

    __tablename__ = "sessions"
    __table_args__ = (belongs_to("accounts", "account_id"),)

    client_id: UUID = Field(primary_key=True)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    account_id: UUID
    token_hash: bytes
    created_at: datetime = made_at()
    last_seen_at: datetime = made_at()
    expires_at: datetime = Field(sa_type=Moment)
    absolute_expires_at: datetime = Field(sa_type=Moment)
    replaced_by: UUID | None = None
    revoked_at: datetime | None = moment()
    ip: str | None = None
    user_agent: str | None = None
    stepped_up_at: datetime | None = moment()


class ApiToken(SQLModel, table=True):
    """A bearer token. ``clients`` limits it to some of the account's clients; None means all of them."""

    __tablename__ = "api_tokens"
    __table_args__ = (belongs_to("accounts", "account_id"),)

    client_id: UUID = Field(primary_key=True)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    account_id: UUID
    name: str
    token_hash: bytes
    clients: list[UUID] | None = Field(default=None, sa_type=ARRAY(Uuid))
    created_at: datetime = made_at()
    expires_at: datetime | None = moment()
    revoked_at: datetime | None = moment()
    last_used_at: datetime | None = moment()
