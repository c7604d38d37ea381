"""Identifiers: UUIDv7, ordered by the time they were made, so that new rows stand together in an index."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import uuid_utils

_UUID7_TIME_SHIFT = 80


def new_id() -> UUID:
    """A new UUIDv7."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def created_at(identifier: UUID) -> datetime:
    """When a UUIDv7 was made, to the millisecond, in UTC."""
    return datetime.fromtimestamp((identifier.int >> _UUID7_TIME_SHIFT) / 1000, tz=UTC)


def first_at(moment: datetime) -> UUID:
    """The smallest UUIDv7 of a moment: what was made before it is smaller, what is made from then on is not."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << _UUID7_TIME_SHIFT)
