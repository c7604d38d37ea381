"""A client's links to its platforms. Secrets are in the vault; ``config`` holds what is no secret."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Field, SQLModel

from app.core.ids import new_id
from app.data.models.base import json_null, json_object, made_at, moment


class Connection(SQLModel, table=True):
    """One link. ``alias`` is the name that workflows use; ``state`` is untested, ok, failed or removed."""

    __tablename__ = "connections"

    client_id: UUID = Field(primary_key=True, foreign_key="clients.client_id")
    id: UUID = Field(default_factory=new_id, primary_key=True)
    alias: str
    platform: str
    name: str
    config: dict[str, Any] = json_object()
    vault_path: str
    platform_tenant: str | None = None
    state: str = "untested"
    last_test: dict[str, Any] | None = json_null()
    tested_at: datetime | None = moment()
    created_at: datetime = made_at()
    created_by: UUID | None = None
    revision: int = 1
    removed_at: datetime | None = moment()
