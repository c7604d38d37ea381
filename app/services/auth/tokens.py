"""Bearer tokens for programs. They are random, revocable, limited to clients, and kept as hashes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlmodel import col, select, update

from app.core import crypto, metrics
from app.core.clock import utcnow
from app.core.context import Actor, Context
from app.core.errors import Forbidden, Invalid, Missing, NotSignedIn, Problem
from app.core.settings import get_settings
from app.data import doors, entry_doors
from app.data.models.people import Account, ApiToken
from app.data.repositories import audit
from app.data.session import door_session, tenant_session
from app.services.auth.home import home_context, home_of, load_account
from app.services.auth.names import email_key
from app.services.auth.signin import prove

BEARER_PREFIX = "olt_"
LIFETIME = timedelta(hours=12)
LONGEST_LIFETIME = timedelta(days=366)
_TOUCH_AFTER = timedelta(seconds=60)


@dataclass(frozen=True)
class IssuedToken:
    """A new token. ``token`` is shown once; ``expires_in`` is in seconds."""

    id: UUID
    token: str
    expires_in: int


class TokenView(BaseModel):
    """A token as its list shows it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str
    clients: list[UUID] | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


async def issue_token(
    *, email: str, password: str, otp: str, ip: str | None, name: str = "API", lifetime: timedelta = LIFETIME
) -> IssuedToken:
    """A token for whoever proves who they are. Raises as :func:`~app.services.auth.signin.sign_in` does."""
    account = await prove(email=email, password=password, otp=otp, ip=ip, via="token")
    actor = Actor(account_id=account.id, email=account.email, name=account.name, via="token", ip=ip)
    return await _add(account, actor, name=name, clients=None, lifetime=lifetime)


async def create_token(
    actor: Actor, *, name: str, clients: Collection[UUID] | None = None, lifetime: timedelta = LIFETIME
) -> IssuedToken:
    """A token for one's own account. A token cannot make another that can do more than itself."""
    if lifetime > LONGEST_LIFETIME or lifetime <= timedelta(0):
        message = "A token lasts at most 366 days."
        raise Invalid(message, problems=[Problem("token_lifetime", message, field="lifetime")])
    if actor.clients is not None and not (clients and set(clients) <= actor.clients):
        raise Forbidden("account.write")
    home = await home_of(actor)
    account = await load_account(home.client_id, _known(actor))
    return await _add(account, actor, name=name, clients=clients, lifetime=lifetime)


async def local_actor(email: str) -> Actor:
    """The actor of an account, without a sign-in, for the command line of whoever owns this machine's demonstration.

    Raises Forbidden in production, Missing where there is no such account.
    """
    if get_settings().environment != "demo":
        raise Forbidden("account.write")
    async with door_session() as session:
        found = await doors.account_by_email(session, email_key(email))
    if found is None:
        raise Missing("account")
    account = await load_account(found.client_id, found.id)
    return Actor(account_id=account.id, email=account.email, name=account.name, via="cli", locale=account.locale)


async def issue_local_token(*, email: str, client_slug: str, lifetime: timedelta = LIFETIME) -> IssuedToken:
    """A token without password for one client, as :func:`local_actor`. Raises Missing where it is no member of it."""
    actor = await local_actor(email)
    home = await home_of(actor)
    async with door_session() as session:
        members = await doors.clients_of(session, _known(actor))
    client = next((row for row in members if row.slug == client_slug and row.archived_at is None), None)
    if client is None:
        raise Missing("client")
    account = await load_account(home.client_id, _known(actor))
    return await _add(account, actor, name="command line", clients=[client.client_id], lifetime=lifetime)


def _known(actor: Actor) -> UUID:
    if actor.account_id is None:
        raise NotSignedIn()
    return actor.account_id


async def _add(
    account: Account, actor: Actor, *, name: str, clients: Collection[UUID] | None, lifetime: timedelta
) -> IssuedToken:
    token = crypto.new_token(BEARER_PREFIX)
    context = home_context(actor, account.client_id)
    row = ApiToken(
        client_id=account.client_id,
        account_id=account.id,
        name=name.strip()[:100] or "API",
        token_hash=crypto.token_hash(token),
        clients=None if clients is None else sorted(clients),
        expires_at=utcnow() + lifetime,
    )
    details = {"name": row.name, "clients": row.clients, "expires_at": row.expires_at}
    async with tenant_session(context) as session:
        session.add(row)
        await audit.record(session, context, action="token_created", target=f"token:{row.id}", details=details)
    return IssuedToken(row.id, token, int(lifetime.total_seconds()))


async def resolve_token(token: str, ip: str | None = None) -> Actor:
    """Who has this bearer token. Raises NotSignedIn."""
    row = await entry_doors.token_by_hash(crypto.token_hash(token)) if token.startswith(BEARER_PREFIX) else None
    return await _bearer(row, ip)


async def resolve_token_in(
    token: str, client: str, ip: str | None = None
) -> tuple[Actor, doors.ClientOfAccount | None]:
    """Who has this bearer token, and their membership of the client of that short name or id. Raises NotSignedIn."""
    found = None
    if token.startswith(BEARER_PREFIX):
        found = await entry_doors.token_in_client(crypto.token_hash(token), client)
    row, membership = found or (None, None)
    return await _bearer(row, ip), membership


async def _bearer(row: entry_doors.TokenRow | None, ip: str | None) -> Actor:
    if row is None or _ended(row):
        metrics.authentication_attempts.labels("token", "refused").inc()
        raise NotSignedIn("This token is not valid.", code="token_invalid")
    if row.last_used_at is None or row.now - row.last_used_at > _TOUCH_AFTER:
        await _touch(row)
    return Actor(
        account_id=row.account_id,
        email=row.email,
        name=row.name,
        via="token",
        ip=ip,
        locale=row.locale,
        clients=None if row.clients is None else frozenset(row.clients),
    )


def _ended(row: entry_doors.TokenRow) -> bool:
    expired = row.expires_at is not None and row.expires_at <= row.now
    return expired or row.revoked_at is not None or row.account_disabled_at is not None


async def _touch(row: entry_doors.TokenRow) -> None:
    async with tenant_session(row.client_id) as session:
        await session.exec(
            update(ApiToken)
            .where(col(ApiToken.client_id) == row.client_id, col(ApiToken.id) == row.id)
            .values(last_used_at=row.now)
        )


async def list_tokens(actor: Actor) -> list[TokenView]:
    """The account's own living tokens, the newest first."""
    home = await home_of(actor)
    async with tenant_session(home) as session:
        found = await session.exec(
            select(ApiToken)
            .where(
                ApiToken.client_id == home.client_id,
                ApiToken.account_id == actor.account_id,
                col(ApiToken.revoked_at).is_(None),
                col(ApiToken.expires_at) > utcnow(),
            )
            .order_by(col(ApiToken.created_at).desc())
        )
        return [TokenView.model_validate(row, from_attributes=True) for row in found.all()]


async def revoke_token(actor: Actor, token_id: UUID) -> None:
    """End one of the account's own tokens. Raises Missing."""
    home: Context = await home_of(actor)
    async with tenant_session(home) as session:
        query = select(ApiToken).where(
            ApiToken.client_id == home.client_id, ApiToken.id == token_id, ApiToken.account_id == actor.account_id
        )
        row = (await session.exec(query.with_for_update())).first()
        if row is None:
            raise Missing("token")
        row.revoked_at = row.revoked_at or utcnow()
        session.add(row)
        await audit.record(session, home, action="token_revoked", target=f"token:{token_id}")
