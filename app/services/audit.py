"""Reading and exporting the audit trail. Writing it is app.data.repositories.audit's, in each verb's transaction."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlmodel import col, select

from app.core.chain import Checkpoint, Signer, timestamp
from app.core.chain_export import header
from app.core.clock import utcnow
from app.core.context import Context
from app.core.crypto import encode
from app.core.errors import Unavailable
from app.data import doors
from app.data.doors import Member
from app.data.models.audit import AuditCheckpoint, AuditEvent
from app.data.repositories import audit
from app.data.routing import Route
from app.data.session import tenant_session

LARGEST_PAGE = 200
_EXPORT_PAGE = 500


class AuditView(BaseModel):
    """One event. ``seq`` counts within the client; ``hash`` is hexadecimal.

    ``actor`` is what was recorded; ``name`` and ``email`` are the person's as they are now, where they still have
    access here. ``name`` is otherwise ``actor``.
    """

    model_config = ConfigDict(frozen=True)

    seq: int
    at: datetime
    actor_id: UUID | None
    actor: str
    via: str
    ip: str | None
    action: str
    target: str
    outcome: str
    details: dict[str, Any]
    hash: str
    name: str = ""
    email: str = ""


class AuditPage(BaseModel):
    """Events, the newest first. ``next`` is the cursor of the page after it, None at the end."""

    model_config = ConfigDict(frozen=True)

    events: list[AuditView]
    next: int | None


async def list_events(
    ctx: Context,
    *,
    action: str | None = None,
    actor: str | None = None,
    target: str | None = None,
    outcome: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: int | None = None,
    limit: int = 50,
) -> AuditPage:
    """Events of the client. ``action`` and ``target`` match from their beginning, ``actor`` anywhere, case folded."""
    ctx.require("audit.read")
    limit = max(1, min(limit, LARGEST_PAGE))
    query = select(AuditEvent).where(AuditEvent.client_id == ctx.client_id)
    if action:
        query = query.where(col(AuditEvent.action).startswith(action, autoescape=True))
    if target:
        query = query.where(col(AuditEvent.target).startswith(target, autoescape=True))
    if actor:
        query = query.where(col(AuditEvent.actor).icontains(actor, autoescape=True))
    if outcome:
        query = query.where(AuditEvent.outcome == outcome)
    if since:
        query = query.where(AuditEvent.at >= since)
    if until:
        query = query.where(AuditEvent.at < until)
    if cursor:
        query = query.where(AuditEvent.seq < cursor)
    async with tenant_session(ctx, route=Route.REPLICA) as session:
        rows = (await session.exec(query.order_by(col(AuditEvent.seq).desc()).limit(limit + 1))).all()
        people = {member.account_id: member for member in await doors.members(session)}
    return AuditPage(
        events=[_view(row, people) for row in rows[:limit]], next=rows[limit - 1].seq if len(rows) > limit else None
    )


def _view(row: AuditEvent, people: Mapping[UUID, Member]) -> AuditView:
    stored = set(AuditView.model_fields) - {"hash", "name", "email"}
    found = {name: getattr(row, name) for name in stored}
    person = people.get(row.actor_id) if row.actor_id else None
    return AuditView(
        **found,
        hash=bytes(row.hash).hex(),
        name=(person.name or person.email) if person else row.actor,
        email=person.email if person else "",
    )


async def record_alone(
    ctx: Context,
    *,
    action: str,
    target: str = "",
    outcome: str = "success",
    details: Mapping[str, Any] | None = None,
) -> None:
    """An event in a transaction of its own: for what failed, where the failing transaction was rolled back."""
    async with tenant_session(ctx) as session:
        await audit.record(session, ctx, action=action, target=target, outcome=outcome, details=details)


async def export(ctx: Context) -> AsyncIterator[str]:
    """The whole trail, one JSON object a line, as :func:`app.core.chain_export.verify_export` checks it.

    Raises Unavailable where the deployment has no signing key. The export itself is its last event.
    """
    ctx.require("audit.read")
    signer = audit.signer()
    if signer is None:
        raise Unavailable("No audit signing key is set up.", params={"part": "audit"})
    await record_alone(ctx, action="audit_exported")
    async with tenant_session(ctx) as session:
        final = await audit.checkpoint(session, ctx)
    if final is None:
        raise Unavailable("No audit signing key is set up.", params={"part": "audit"})
    yield _line("header", _header(ctx, signer, final))
    async for line in _body(ctx, final):
        yield line


def _header(ctx: Context, signer: Signer, final: Checkpoint) -> dict[str, Any]:
    body = header(str(ctx.client_id), ctx.client_slug, final.seq, final.hash.hex(), timestamp(utcnow()))
    return {**body, "key_id": signer.key_id, "signature": encode(signer.sign(body))}


async def _body(ctx: Context, final: Checkpoint) -> AsyncIterator[str]:
    done = 0
    while done < final.seq:
        async with tenant_session(ctx) as session:
            events = (
                await session.exec(
                    select(AuditEvent)
                    .where(AuditEvent.client_id == ctx.client_id, col(AuditEvent.seq).between(done + 1, final.seq))
                    .order_by(col(AuditEvent.seq))
                    .limit(_EXPORT_PAGE)
                )
            ).all()
            last = events[-1].seq if events else final.seq
            marks = await session.exec(
                select(AuditCheckpoint).where(
                    AuditCheckpoint.client_id == ctx.client_id, col(AuditCheckpoint.seq).between(done + 1, last)
                )
            )
            signed = {mark.seq: _checkpoint(mark) for mark in marks.all() if mark.seq < final.seq}
        for event in events:
            yield _line("event", _event(event))
            if event.seq in signed:
                yield _line("checkpoint", signed[event.seq].as_json())
        done = last
    yield _line("checkpoint", final.as_json())


def _event(row: AuditEvent) -> dict[str, Any]:
    """As it was hashed."""
    return {
        "seq": row.seq,
        "actor": row.actor,
        "via": row.via,
        "ip": row.ip,
        "action": row.action,
        "target": row.target,
        "outcome": row.outcome,
        "details": row.details,
        "client_id": str(row.client_id),
        "at": timestamp(row.at),
        "actor_id": None if row.actor_id is None else str(row.actor_id),
        "prev_hash": bytes(row.prev_hash).hex(),
        "hash": bytes(row.hash).hex(),
    }


def _checkpoint(row: AuditCheckpoint) -> Checkpoint:
    return Checkpoint(row.client_id, row.seq, bytes(row.hash), row.at, row.key_id, bytes(row.signature))


def _line(kind: str, body: Mapping[str, Any]) -> str:
    return json.dumps({"type": kind, **body}, ensure_ascii=False) + "\n"
