"""Column types that every model shares. Times are UTC with their zone; ids are UUIDv7 made in Python."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Computed, DateTime, ForeignKeyConstraint, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.core.clock import utcnow

Moment = DateTime(timezone=True)
Json = JSONB(none_as_null=True)


def made_at() -> Any:
    """A time that is set when the object is made."""
    return Field(default_factory=utcnow, sa_type=Moment)


def moment() -> Any:
    """A time that is not known yet."""
    return Field(default=None, sa_type=Moment)


def json_object() -> Any:
    """A JSON object, empty by default. Assign a new one to change it: a change inside is not seen."""
    return Field(default_factory=dict, sa_type=Json)


def json_null() -> Any:
    """A JSON value that may be missing."""
    return Field(default=None, sa_type=Json)


def computed(expression: str) -> Any:
    """A text that the database derives from the row; it is never written."""
    return Field(default=None, sa_column=Column(Text, Computed(expression, persisted=True), nullable=True))


def belongs_to(table: str, *columns: str, key: tuple[str, ...] = ("client_id", "id")) -> ForeignKeyConstraint:
    """A foreign key that includes the client: ``columns`` follow ``client_id`` and meet ``key`` of ``table``."""
    return ForeignKeyConstraint(["client_id", *columns], [f"{table}.{name}" for name in key])
