"""Signs the audit trail in time: the last events of a quiet client do not wait for the next checkpoint by number."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import structlog

from app.core.context import Context, system_actor
from app.data import doors
from app.data.repositories import audit
from app.data.session import tenant_session

log = structlog.get_logger(__name__)

# No event stays unsigned for longer than this and the moment that signing takes.
SIGN_EVERY_S = 300.0
_AT_ONCE = 100  # well under the lead's time to live, which is renewed between two turns


@dataclass
class Signing:
    """The scheduler's part of it. ``every_s`` seconds pass between two looks."""

    every_s: float = SIGN_EVERY_S
    _due: float = field(default=0.0, init=False)

    async def turn(self, connection: psycopg.AsyncConnection) -> int:
        """Sign what is due; gives the number of chains signed. Where many are, the next turn goes on."""
        if time.monotonic() < self._due or audit.signer() is None:
            return 0
        waiting = await doors.unsigned_chains(connection, _AT_ONCE)
        signed = [client_id for client_id in waiting if await _sign(client_id)]
        if len(signed) < _AT_ONCE:
            self._due = time.monotonic() + self.every_s
        return len(signed)


async def _sign(client_id: UUID) -> bool:
    """A chain that cannot be signed must not keep the others, nor the scheduler, waiting."""
    context = Context(client_id=client_id, client_slug="", actor=system_actor("scheduler"), role="system")
    try:
        async with tenant_session(context) as session:
            return await audit.checkpoint(session, context) is not None
    except Exception as error:
        log.exception("audit.not_signed", client_id=str(client_id), error=type(error).__name__)
        return False
