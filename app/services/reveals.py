"""One-time secrets: a link that shows a generated password once, to someone who need not have an account.

Only the hash of a link is stored. Looking at it never reveals anything (mail scanners follow links); revealing spends
the link and destroys the secret in one transaction.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core import crypto
from app.core.clock import utcnow
from app.core.context import Actor, Context
from app.core.errors import Missing
from app.core.settings import get_settings
from app.data.models.approvals import Reveal
from app.data.models.clients import Client
from app.data.repositories import audit
from app.data.session import tenant_session
from app.data.vault import get_vault

_RANDOM_BYTES = 32
_CLIENT_BYTES = 16

# One statement decides who is first; the row is locked until the secret is destroyed and the transaction is over.
_SPEND = text("""
    UPDATE reveals SET revealed_at = clock_timestamp(), revealed_by = :account, link_hash = NULL
     WHERE client_id = :client AND id = :reveal AND revealed_at IS NULL AND expires_at > clock_timestamp()
 RETURNING vault_path
""")


@dataclass(frozen=True)
class RevealLink:
    """A link as it is handed over, once. ``url`` holds the token."""

    url: str
    expires_at: datetime


@dataclass(frozen=True)
class Preview:
    """What someone with the link sees before the secret: what it is, whose, and until when."""

    title: dict[str, Any]
    client_name: str
    expires_at: datetime


@dataclass(frozen=True)
class Revealed:
    """The secret, shown this once."""

    title: dict[str, Any]
    client_name: str
    value: str


async def create_link(ctx: Context, reveal_id: UUID) -> RevealLink:
    """A fresh link to a secret that was not shown yet; an older link to it ends. Raises Missing."""
    ctx.require("secret.reveal")
    raw = ctx.client_id.bytes + secrets.token_bytes(_RANDOM_BYTES)
    token = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    async with tenant_session(ctx) as session:
        row = await _open_row(session, ctx.client_id, Reveal.id == reveal_id, lock=True)
        row.link_hash = crypto.token_hash(token)
        session.add(row)
        details = {"run": row.run_id, "node": row.node}
        await audit.record(session, ctx, action="reveal_link_created", target=f"reveal:{reveal_id}", details=details)
    return RevealLink(f"{get_settings().base_url.rstrip('/')}/reveal/{token}", row.expires_at)


async def reveal(ctx: Context, reveal_id: UUID) -> Revealed:
    """Show the secret to the actor, once; it is destroyed. Raises Missing where it was shown or has expired."""
    ctx.require("secret.reveal")
    async with tenant_session(ctx) as session:
        row = await _open_row(session, ctx.client_id, Reveal.id == reveal_id)
        return await _spend(session, ctx, row)


async def look(token: str) -> Preview:
    """What a link leads to, without revealing it. Raises Missing for every link that cannot be used (any more)."""
    client_id, hashed = _parts(token)
    async with tenant_session(client_id) as session:
        row = await _open_row(session, client_id, Reveal.link_hash == hashed)
        return Preview(row.title, await _client_name(session, client_id), row.expires_at)


async def open_link(token: str, *, ip: str | None) -> Revealed:
    """Spend a link: the secret, which is destroyed. Raises Missing."""
    client_id, hashed = _parts(token)
    context = Context(client_id, "", Actor(None, "one-time link", via="link", ip=ip), role="link")
    async with tenant_session(context) as session:
        row = await _open_row(session, client_id, Reveal.link_hash == hashed)
        return await _spend(session, context, row)


async def _spend(session: AsyncSession, context: Context, row: Reveal) -> Revealed:
    asked = {"account": context.actor.account_id, "client": row.client_id, "reveal": row.id}
    path = (await (await session.connection()).execute(_SPEND, asked)).scalar()
    if path is None:
        raise Missing("secret")
    vault = get_vault("web")
    value = await vault.get_secret(row.client_id, path)
    await vault.delete_secret(row.client_id, path)
    details = {"run": row.run_id, "node": row.node}
    await audit.record(session, context, action="secret_revealed", target=f"reveal:{row.id}", details=details)
    return Revealed(row.title, await _client_name(session, row.client_id), value)


async def _open_row(session: AsyncSession, client_id: UUID, which: Any, *, lock: bool = False) -> Reveal:
    query = select(Reveal).where(Reveal.client_id == client_id, which)
    row = (await session.exec(query.with_for_update() if lock else query)).first()
    if row is None or row.revealed_at is not None or row.expires_at <= utcnow():
        raise Missing("secret")
    return row


async def _client_name(session: AsyncSession, client_id: UUID) -> str:
    return (await session.exec(select(Client.name).where(Client.client_id == client_id))).first() or ""


def _parts(token: str) -> tuple[UUID, bytes]:
    """The client that a link names, and the hash to look it up by. Raises Missing."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise Missing("secret") from None
    if len(raw) != _CLIENT_BYTES + _RANDOM_BYTES:
        raise Missing("secret")
    return UUID(bytes=raw[:_CLIENT_BYTES]), crypto.token_hash(token)
