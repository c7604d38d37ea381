"""Schedules whose time has come. Called by the scheduler; right also when two of them do it, or one dies in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.errors import OpsloomError
from app.core.ids import new_id
from app.data.models.triggers import Trigger, TriggerFiring
from app.data.session import tenant_session
from app.engine.core.schedule import Missed, Turn, is_late, parse_schedule, turn
from app.services.triggers.configs import ScheduleConfig
from app.services.triggers.firing import Cause, database_now, fire, keep, locked, still_running, stop

_NOT_YET = timedelta(seconds=10)


async def fire_schedule(client_id: UUID, trigger_id: UUID) -> int:
    """Fire a schedule for each time that has come, and set its next one. Gives how many firings there were."""
    async with tenant_session(client_id) as session:
        found = await locked(session, client_id, Trigger.id == trigger_id)
        now = await database_now(session)
        if not found or found[0].next_at is None or found[0].next_due is None or found[0].next_at > now:
            return 0
        trigger = found[0]
        config = ScheduleConfig.model_validate(trigger.config)
        try:
            schedule = parse_schedule(config.cron, config.zone, now=now)
        except OpsloomError as error:  # a zone can go, and a schedule come to its end
            await stop(session, trigger, {"code": error.code, "message": error.message})
            return 1
        found_turn = turn(schedule, config.pace(trigger.id), trigger.next_due, now)
        return await _take(session, trigger, config, found_turn, now)


async def _take(session: AsyncSession, trigger: Trigger, config: ScheduleConfig, what: Turn, now: datetime) -> int:
    if what.missed:
        await keep(session, trigger, _let_go(trigger, what.missed, now))
    for number, at in enumerate(what.fire):
        if trigger.enabled:
            if await _waits_its_turn(session, trigger, config, at, now):
                trigger.next_due, trigger.next_at = at, now + _NOT_YET
                session.add(trigger)
                return number + bool(what.missed)
            key = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
            payload = {"event": "schedule", "due": at.isoformat(), "late_s": int((now - at).total_seconds())}
            await fire(session, trigger, Cause(key, payload, due=at))
    if trigger.enabled:
        trigger.next_due, trigger.next_at = what.next_due, what.next_at
        session.add(trigger)
        if what.next_due is None:
            await stop(session, trigger, {"code": "schedule_over"})
    return len(what.fire) + bool(what.missed)


async def _waits_its_turn(
    session: AsyncSession, trigger: Trigger, config: ScheduleConfig, at: datetime, now: datetime
) -> bool:
    """Whether each missed time is to be made up for, and this one cannot be yet, as the run before it goes on."""
    late = config.catch_up == "all" and is_late(config.pace(trigger.id), at, now)
    return late and await still_running(session, trigger) is not None


def _let_go(trigger: Trigger, missed: Missed, now: datetime) -> TriggerFiring:
    first, last = missed.first.isoformat(), missed.last.isoformat()
    return TriggerFiring(
        client_id=trigger.client_id,
        id=new_id(),
        trigger_id=trigger.id,
        key=f"missed:{first}:{last}",
        due=missed.last,
        at=now,
        outcome="skipped",
        why={"code": "missed", "count": missed.count, "first": first, "last": last},
    )
