"""One firing of one trigger: the run that it starts, or why it starts none. Inside the transaction of its cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Forbidden, Invalid, Missing, OpsloomError, Problem
from app.core.ids import new_id
from app.core.run_states import OVER
from app.data.models.clients import Client
from app.data.models.runs import Run
from app.data.models.triggers import Trigger, TriggerFiring
from app.data.repositories import audit
from app.services import starts
from app.services.triggers.configs import stored_config
from app.services.triggers.mapping import render_inputs
from app.services.triggers.starter import Stopped, client_of, scheduler_context, starter_of

Json = dict[str, Any]
MAX_DEPTH = 8
KEPT = timedelta(days=90)
_LOOKED_BACK = 20


@dataclass(frozen=True)
class Cause:
    """Why it fires. ``key`` makes it one firing only; ``depth`` counts the starts by events that led here.

    ``inputs`` replaces the trigger's own; ``by`` is the person who fires it by hand, on their own behalf; ``unfit``
    says what is wrong with what was sent. ``mendable``: what was refused before is decided anew, for a sender that
    delivers once more after the reason was mended.
    """

    key: str
    payload: Any = field(default_factory=dict)
    inputs: Mapping[str, Any] | None = None
    depth: int = 0
    due: datetime | None = None
    ip: str | None = None
    by: Context | None = None
    unfit: tuple[Problem, ...] = ()
    mendable: bool = False


async def locked(session: AsyncSession, client_id: UUID, *which: Any) -> list[Trigger]:
    """The triggers that ``which`` selects, in one order for everybody, so that no two transactions wait for each other.

    The lock is what makes a firing one: whoever comes second sees what the first has done.
    """
    query = (
        select(Trigger)
        .where(Trigger.client_id == client_id, col(Trigger.removed_at).is_(None), *which)
        .order_by(col(Trigger.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list((await session.exec(query)).all())


async def database_now(session: AsyncSession) -> datetime:
    """The database's clock: the one that decides."""
    now: datetime = (await (await session.connection()).execute(select(func.clock_timestamp()))).scalar_one()
    return now


async def fire(session: AsyncSession, trigger: Trigger, cause: Cause) -> TriggerFiring:
    """Fire a locked trigger and keep what came of it. The same key gives the first firing again, except where that was
    refused and may have been mended."""
    earlier = await session.exec(
        select(TriggerFiring).where(
            TriggerFiring.client_id == trigger.client_id,
            TriggerFiring.trigger_id == trigger.id,
            TriggerFiring.key == cause.key,
        )
    )
    found = earlier.first()
    if found and not (cause.mendable and found.outcome == "refused"):
        return found
    if found:
        await session.delete(found)
        await session.flush()
    firing = TriggerFiring(
        client_id=trigger.client_id,
        id=new_id(),
        trigger_id=trigger.id,
        key=cause.key,
        due=cause.due,
        at=await database_now(session),
        outcome="started",
        depth=cause.depth,
    )
    await _decide(session, trigger, firing, cause)
    await keep(session, trigger, firing)
    return firing


async def keep(session: AsyncSession, trigger: Trigger, firing: TriggerFiring) -> None:
    """Add a firing to the history, let go of old ones, and show it on the trigger."""
    session.add(firing)
    trigger.last_firing = {
        "id": str(firing.id),
        "at": firing.at.isoformat(),
        "due": firing.due.isoformat() if firing.due else None,
        "outcome": firing.outcome,
        "run": str(firing.run_id) if firing.run_id else None,
        "why": firing.why,
    }
    session.add(trigger)
    await session.flush()
    old = delete(TriggerFiring).where(
        col(TriggerFiring.client_id) == trigger.client_id,
        col(TriggerFiring.trigger_id) == trigger.id,
        col(TriggerFiring.at) < firing.at - KEPT,
    )
    await (await session.connection()).execute(old)


async def _decide(session: AsyncSession, trigger: Trigger, firing: TriggerFiring, cause: Cause) -> None:
    if cause.depth > MAX_DEPTH:
        _refuse(firing, {"code": "too_deep", "limit": MAX_DEPTH})
        return
    try:
        client = await client_of(session, trigger)
        starter = cause.by or await starter_of(session, trigger, client, cause.ip)
    except Stopped as stopped:
        _refuse(firing, stopped.why)
        await stop(session, trigger, stopped.why)
        return
    going = await still_running(session, trigger)
    if going is not None:
        firing.outcome, firing.why = "skipped", {"code": "still_running", "run": str(going)}
        return
    try:
        firing.run_id = await _start(session, trigger, firing, cause, client, starter)
    except OpsloomError as error:
        why = {"code": error.code, "message": error.message, "params": error.params}
        _refuse(firing, {**why, "errors": [problem.as_json() for problem in error.problems]})
        if isinstance(error, Forbidden | Missing) and cause.by is None:
            await stop(session, trigger, why)
        details = {"name": trigger.name, "why": error.code}
        target = f"trigger:{trigger.id}"
        await audit.record(
            session, starter, action="trigger_refused", target=target, outcome="failure", details=details
        )


def _refuse(firing: TriggerFiring, why: Json) -> None:
    firing.outcome, firing.why = "refused", why


async def _start(
    session: AsyncSession, trigger: Trigger, firing: TriggerFiring, cause: Cause, client: Client, starter: Context
) -> UUID:
    """The run. The key of the run is that of the firing, so that even without the firing's row there is one run."""
    if cause.unfit:
        raise Invalid("The payload does not fit.", code="payload_unfit", problems=cause.unfit)
    given = trigger.inputs if cause.inputs is None else cause.inputs
    inputs = render_inputs(given, cause.payload, client.variables) if cause.inputs is None else dict(given)
    key = f"trigger:{trigger.id}:{cause.key}"
    about = {
        "id": str(trigger.id),
        "name": trigger.name,
        "kind": trigger.kind,
        "firing": str(firing.id),
        "depth": cause.depth,
        "watch": trigger.watch,
        # Nobody who wrote what starts by itself may approve what it asks for.
        "people": [str(person) for person in trigger.authors],
    }
    try:
        async with session.begin_nested():
            return await starts.start_in(
                session,
                starter,
                workflow=trigger.workflow_id,
                inputs=inputs,
                mode=trigger.mode,  # type: ignore[arg-type]
                version=trigger.version,
                idempotency_key=key,
                trigger=about,
                priority=stored_config(trigger.config, trigger.kind).priority,
            )
    except IntegrityError:
        query = select(Run.id).where(Run.client_id == trigger.client_id, Run.idempotency_key == key)
        found = (await session.exec(query)).first()
        if found is None:
            raise
        return found


async def still_running(session: AsyncSession, trigger: Trigger) -> UUID | None:
    """A run of this trigger that is not over, where it is not to start another beside it."""
    if stored_config(trigger.config, trigger.kind).overlap == "allow":
        return None
    started = (
        select(TriggerFiring.run_id)
        .where(
            TriggerFiring.client_id == trigger.client_id,
            TriggerFiring.trigger_id == trigger.id,
            TriggerFiring.outcome == "started",
        )
        .order_by(col(TriggerFiring.at).desc())
        .limit(_LOOKED_BACK)
    )
    query = select(Run.id).where(
        Run.client_id == trigger.client_id, col(Run.id).in_(started), col(Run.state).not_in(OVER)
    )
    return (await session.exec(query)).first()


async def stop(session: AsyncSession, trigger: Trigger, why: Json) -> None:
    """Switch a trigger off because it cannot go on, and say why where people look."""
    trigger.enabled, trigger.stopped, trigger.next_due, trigger.next_at = False, why, None, None
    session.add(trigger)
    client = (await session.exec(select(Client).where(Client.client_id == trigger.client_id))).one()
    await audit.record(
        session,
        scheduler_context(client),
        action="trigger_stopped",
        target=f"trigger:{trigger.id}",
        outcome="failure",
        details={"name": trigger.name, "why": why["code"]},
    )
