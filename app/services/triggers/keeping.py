"""What the scheduler does each second for triggers: those that are due, and what has happened."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from app.data.models.triggers import Trigger
from app.data.session import tenant_session
from app.services.triggers.due import fire_schedule
from app.services.triggers.firing import database_now, locked
from app.services.triggers.happenings import deal_with_next

log = structlog.get_logger(__name__)
_PUT_OFF = timedelta(seconds=60)

Due = Sequence[tuple[UUID, UUID | None]]


async def serve(due: Due, within_s: float) -> bool:
    """Do what ``due`` names: a client with a trigger, or with none where something has happened there.

    Goes round the clients, so that one with much to do does not hold up another's. Ends after ``within_s`` seconds;
    True where something is left. A fault with one trigger is logged and put off, and does not stop the others.
    """
    until = time.monotonic() + within_s
    for client_id, trigger_id in due:
        if trigger_id is not None:
            if time.monotonic() > until:
                return True
            await _one(client_id, trigger_id)
    waiting = [client_id for client_id, trigger_id in due if trigger_id is None]
    while waiting:
        for client_id in list(waiting):
            if time.monotonic() > until:
                return True
            if not await deal_with_next(client_id):
                waiting.remove(client_id)
    return False


async def _one(client_id: UUID, trigger_id: UUID) -> None:
    try:
        await fire_schedule(client_id, trigger_id)
    except Exception as error:
        log.exception("triggers.firing_failed", trigger_id=str(trigger_id), error=type(error).__name__)
        await _put_off(client_id, trigger_id)


async def _put_off(client_id: UUID, trigger_id: UUID) -> None:
    """Look at it again in a minute. Its due time stays, so that nothing is lost."""
    async with tenant_session(client_id) as session:
        for trigger in await locked(session, client_id, Trigger.id == trigger_id):
            if trigger.next_at is not None:
                trigger.next_at = await database_now(session) + _PUT_OFF
                session.add(trigger)
