"""The time, in UTC. Deadlines that decide anything use the database's clock, not this one."""

from __future__ import annotations

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Now, with its time zone."""
    return datetime.now(UTC)
