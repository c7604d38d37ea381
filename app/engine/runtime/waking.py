"""Letting a run be looked at, in the transaction of what makes that worth while."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession


async def wake_run(
    session: AsyncSession, client_id: UUID, run_id: UUID, urgency: int | None = None, *, at: datetime | None = None
) -> None:
    """Let a run be claimed again (``at`` a time, not before it), or let its walker look up.

    ``urgency`` is its priority, None: as it was.
    """
    connection = await session.connection()
    values = {"client": client_id, "run": run_id, "at": at, "urgency": urgency}
    statement = "SELECT wake_run(:client, :run, CAST(:at AS timestamptz), CAST(:urgency AS smallint))"
    await connection.execute(text(statement), values)
