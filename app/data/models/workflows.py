"""Workflows: a draft that people edit, and versions that never change once written."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Field, SQLModel

from app.core.ids import new_id
from app.data.models.base import Json, belongs_to, json_null, made_at, moment


class Workflow(SQLModel, table=True):
    """A workflow of one client. ``draft_revision`` grows at every save; ``origin`` says what it was copied from."""

    __tablename__ = "workflows"

    client_id: UUID = Field(primary_key=True, foreign_key="clients.client_id")
    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str
    description: str = ""
    draft: dict[str, Any] | None = json_null()
    draft_revision: int = 0
    draft_by: UUID | None = None
    draft_at: datetime | None = moment()
    published_version: int | None = None
    latest_version: int | None = None
    origin: dict[str, Any] | None = json_null()
    created_by: UUID | None = None
    created_at: datetime = made_at()
    archived_at: datetime | None = moment()


class WorkflowVersion(SQLModel, table=True):
    """One version. The database lets ``published_at`` and ``published_by`` change, nothing else."""

    __tablename__ = "workflow_versions"
    __table_args__ = (belongs_to("workflows", "workflow_id"),)

    client_id: UUID = Field(primary_key=True)
    workflow_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    document: dict[str, Any] = Field(sa_type=Json)
    hash: str
    note: str = ""
    author_id: UUID | None = None
    created_at: datetime = made_at()
    published_at: datetime | None = moment()
    published_by: UUID | None = None
