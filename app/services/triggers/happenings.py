"""What has happened, dealt with once: each happening goes in the very transaction that has started what it starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.settings import get_settings
from app.data.models.approvals import Approval
from app.data.models.clients import Client
from app.data.models.forms import Form
from app.data.models.runs import Run
from app.data.models.triggers import Happening, Trigger
from app.data.models.workflows import Workflow
from app.data.session import tenant_session
from app.services.triggers.configs import EventConfig, stored_config
from app.services.triggers.drift import judge
from app.services.triggers.firing import Cause, database_now, fire, locked
from app.services.triggers.seen import changes_between

Json = dict[str, Any]
log = structlog.get_logger(__name__)
_MOST_ATTEMPTS = 8


@dataclass(frozen=True)
class News:
    """A happening with what filters and expressions see of it."""

    payload: Json
    run: Run | None
    state: str = ""
    trigger: UUID | None = None


async def deal_with_next(client_id: UUID) -> bool:
    """Deal with the oldest happening of a client that nobody else is dealing with. False: there is none.

    One that cannot be dealt with is put off, longer each time, and given up in the end: it must not hold up others.
    """
    seen: UUID | None = None
    try:
        async with tenant_session(client_id) as session:
            happening = await _next(session, client_id)
            if happening is None:
                return False
            seen = happening.id
            await _deal(session, happening)
            await session.delete(happening)
    except Exception as error:
        if seen is None:
            raise
        log.exception("triggers.happening_failed", client_id=str(client_id), error=type(error).__name__)
        await _put_off(client_id, seen)
    return True


async def _next(session: AsyncSession, client_id: UUID) -> Happening | None:
    query = (
        select(Happening)
        .where(Happening.client_id == client_id, col(Happening.ready_at) <= func.clock_timestamp())
        .order_by(col(Happening.at))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await session.exec(query)).first()


async def _put_off(client_id: UUID, happening_id: UUID) -> None:
    async with tenant_session(client_id) as session:
        happening = await session.get(Happening, (client_id, happening_id), with_for_update=True)
        if happening is None:
            return
        happening.attempts += 1
        if happening.attempts >= _MOST_ATTEMPTS:
            log.error("triggers.happening_given_up", client_id=str(client_id), kind=happening.kind)
            await session.delete(happening)
            return
        happening.ready_at = await database_now(session) + timedelta(seconds=2**happening.attempts)
        session.add(happening)


async def _deal(session: AsyncSession, happening: Happening) -> None:
    news = await _READ[happening.kind](session, happening)
    if news is None:
        return  # what it speaks of is gone
    if happening.kind == "run_ended" and news.run and (news.run.extra.get("trigger") or {}).get("watch"):
        await judge(session, news.run)
    listening = await locked(
        session, happening.client_id, col(Trigger.enabled).is_(True), Trigger.listens == happening.kind
    )
    for trigger in listening:
        config = stored_config(trigger.config, "event")
        if isinstance(config, EventConfig) and _wanted(config, news):
            cause = Cause(str(happening.id), news.payload, depth=happening.depth + 1)
            await fire(session, trigger, cause)


def _wanted(config: EventConfig, news: News) -> bool:
    """Whether the filters let it through. Reversing something is no event of the workflow that is reversed."""
    if config.trigger and config.trigger != news.trigger:
        return False
    if news.run is None:
        return True
    of_workflow = config.workflow is None or config.workflow == news.run.workflow_id
    if config.on == "approval_decided":
        return of_workflow and _in(news.state, config.decisions)
    if config.on == "run_ended":
        ended = _in(news.state, config.outcomes) and _in(news.run.mode, config.modes)
        return of_workflow and ended and news.run.of is None
    return of_workflow


def _in(value: str, wanted: Sequence[str]) -> bool:
    return not wanted or value in wanted


async def _run_ended(session: AsyncSession, happening: Happening) -> News | None:
    run = await session.get(Run, (happening.client_id, happening.subject))
    if run is None:
        return None
    about = {**await _about(session, run), **happening.details}
    payload = {"event": "run_ended", "at": happening.at.isoformat(), "run": about}
    return News(payload, run, happening.details["state"])


async def _approval_decided(session: AsyncSession, happening: Happening) -> News | None:
    approval = await session.get(Approval, (happening.client_id, happening.subject))
    run = await session.get(Run, (happening.client_id, approval.run_id)) if approval else None
    if approval is None or run is None:
        return None
    said = {
        "id": str(approval.id),
        "title": approval.title,
        "decision": happening.details["state"],
        "by": [person["name"] for person in approval.rule.get("decided", ())],
        "reason": approval.rule.get("answer"),
    }
    payload = {"event": "approval_decided", "at": happening.at.isoformat(), "approval": said}
    return News({**payload, "run": await _about(session, run)}, run, happening.details["state"])


async def _asked(session: AsyncSession, happening: Happening) -> News | None:
    """A question that is still open: whoever is told of one that is closed looks for it in vain."""
    shape = Approval if happening.details["of"] == "approvals" else Form
    found = await session.get(shape, (happening.client_id, happening.subject))
    run = await session.get(Run, (happening.client_id, found.run_id)) if found else None
    client = await session.get(Client, happening.client_id)
    if found is None or run is None or client is None or found.state != "open":
        return None
    place = f"{get_settings().base_url}/c/{client.slug}/approvals?id={found.id}"
    question = {
        "id": str(found.id),
        "kind": "approval" if shape is Approval else "form",
        "title": found.title or run.label,
        "step": found.node,
        "roles": list(found.rule.get("roles") or ()),
        "people": list(found.rule.get("people") or ()),
        "deadline": found.deadline.isoformat() if found.deadline else None,
        "url": place,
    }
    payload = {"event": happening.kind, "at": happening.at.isoformat(), "question": question}
    return News({**payload, "run": await _about(session, run)}, run)


async def _drift(session: AsyncSession, happening: Happening) -> News | None:
    trigger = await session.get(Trigger, (happening.client_id, happening.subject))
    run = await session.get(Run, (happening.client_id, UUID(happening.details["run"])))
    if trigger is None or run is None:
        return None
    watch = {"id": str(trigger.id), "name": trigger.name, "counts": happening.details["counts"]}
    payload = {"event": happening.kind, "at": happening.at.isoformat(), "watch": watch}
    return News({**payload, "run": await _about(session, run)}, run, trigger=trigger.id)


async def _change(session: AsyncSession, happening: Happening) -> News | None:
    trigger = await session.get(Trigger, (happening.client_id, happening.subject))
    run = await session.get(Run, (happening.client_id, UUID(happening.details["run"])))
    if trigger is None or run is None:
        return None
    changes = await changes_between(session, run.client_id, UUID(happening.details["since"]), run.id)
    watch = {"id": str(trigger.id), "name": trigger.name}
    payload = {"event": happening.kind, "at": happening.at.isoformat(), "watch": watch, "changes": changes}
    return News({**payload, "run": await _about(session, run)}, run, trigger=trigger.id)


async def _about(session: AsyncSession, run: Run) -> Json:
    """A run as expressions see it."""
    flow = await session.get(Workflow, (run.client_id, run.workflow_id))
    return {
        "id": str(run.id),
        "state": run.state,
        "mode": run.mode,
        "kind": run.kind,
        "label": run.label,
        "inputs": run.inputs,
        "summary": run.summary,
        "reason": run.reason,
        "workflow": {"id": str(run.workflow_id), "name": flow.name if flow else "", "version": run.version},
        "started_by": run.started_by_name,
    }


_READ: dict[str, Callable[[AsyncSession, Happening], Awaitable[News | None]]] = {
    "run_ended": _run_ended,
    "approval_decided": _approval_decided,
    "people_asked": _asked,
    "people_reminded": _asked,
    "drift_found": _drift,
    "drift_cleared": _drift,
    "change_seen": _change,
}
