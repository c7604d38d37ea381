"""People: accounts and what they may do in which client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core import crypto
from app.core.clock import utcnow
from app.core.context import Actor, Context
from app.core.errors import Forbidden, Invalid, Missing, NotSignedIn, Problem
from app.core.ids import new_id
from app.data import doors
from app.data.models.clients import Membership
from app.data.models.people import Account
from app.data.repositories import audit
from app.data.session import door_session, tenant_session
from app.services.auth import attempts, factors
from app.services.auth.home import home_of, load_account
from app.services.auth.names import checked_email, checked_password, email_key, password_form
from app.services.auth.sessions import end_all_sessions
from app.services.permissions import ROLES
from connectors.base import generate_password


class MemberView(BaseModel):
    """Someone who may enter a client, and as what. ``home`` says that the account belongs to this very client."""

    model_config = ConfigDict(frozen=True)

    account_id: UUID
    email: str
    name: str
    role: str
    home: bool
    created_at: datetime
    disabled_at: datetime | None


class Me(BaseModel):
    """The actor's own account."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    email: str
    name: str
    locale: str
    theme: str
    last_sign_in_at: datetime | None
    recovery_codes_left: int


@dataclass(frozen=True)
class NewAccount:
    """An account and what its owner needs to sign in, shown once to whoever created it."""

    id: UUID
    email: str
    name: str
    password: str
    totp_secret: str
    totp_uri: str
    recovery_codes: list[str]


async def list_members(ctx: Context) -> list[MemberView]:
    """Who may enter this client, by name."""
    ctx.require("account.read")
    async with tenant_session(ctx) as session:
        found = await doors.members(session)
    return [
        MemberView(
            account_id=row.account_id,
            email=row.email,
            name=row.name,
            role=row.role,
            home=row.home == ctx.client_id,
            created_at=row.created_at,
            disabled_at=row.disabled_at,
        )
        for row in found
    ]


async def create(ctx: Context, *, email: str, name: str, role: str, locale: str = "en") -> NewAccount:
    """A new account that lives in this client, with a generated password and second factor.

    Raises Invalid with the field that is wrong or taken. A name is taken in the whole installation, which the answer
    says to owners only: they may create accounts, so they would find out.
    """
    ctx.require("account.write")
    address, known_as = checked_email(email), _checked_name(name)
    _require_role(ctx, role)
    password, secret, codes = generate_password(), factors.new_secret(address), crypto.new_recovery_codes()
    account_id = new_id()
    row = Account(
        client_id=ctx.client_id,
        id=account_id,
        email=address,
        email_key=email_key(address),
        name=known_as,
        password_hash=await asyncio.to_thread(crypto.hash_password, password_form(password)),
        totp_secret=await factors.encrypt_secret(ctx.client_id, account_id, secret.text),
        totp_confirmed_at=utcnow(),
        recovery_codes=[crypto.recovery_hash(account_id, code) for code in codes],
        locale=locale if locale in ("en", "fr") else "en",
    )
    try:
        async with tenant_session(ctx) as session:
            session.add(row)
            await session.flush()
            session.add(_membership(ctx, account_id, role))
            details = {"email": address, "role": role}
            await audit.record(session, ctx, action="account_created", target=f"account:{account_id}", details=details)
    except IntegrityError:
        message = "There is an account with this e-mail address already."
        raise Invalid(message, code="email_taken", problems=[Problem("email_taken", message, field="email")]) from None
    return NewAccount(account_id, address, known_as, password, secret.text, secret.uri, codes)


async def reset_sign_in(ctx: Context, *, account_id: UUID) -> NewAccount:
    """A new password and second factor for an account of this client whose owner lost theirs; what was open ends."""
    ctx.require("account.write")
    password, codes = generate_password(), crypto.new_recovery_codes()
    async with tenant_session(ctx) as session:
        row = await _local_account(session, ctx, account_id)
        secret = factors.new_secret(row.email)
        row.password_hash = await asyncio.to_thread(crypto.hash_password, password_form(password))
        row.totp_secret = await factors.encrypt_secret(ctx.client_id, account_id, secret.text)
        row.totp_last_timecode, row.failed_attempts, row.locked_until = None, 0, None
        row.recovery_codes = [crypto.recovery_hash(account_id, code) for code in codes]
        session.add(row)
        await end_all_sessions(session, ctx.client_id, account_id)
        await audit.record(session, ctx, action="sign_in_reset", target=f"account:{account_id}")
        return NewAccount(account_id, row.email, row.name, password, secret.text, secret.uri, codes)


async def grant(ctx: Context, *, email: str, role: str) -> None:
    """Let an account of the MSP, or of this client, enter this client; or change its role. Raises Missing, Invalid."""
    ctx.require("account.write")
    _require_role(ctx, role)
    async with door_session() as session:
        found = await doors.account_by_email(session, email_key(email))
        known = await doors.clients_of(session, found.id) if found else []
    staff = any(client.is_msp for client in known)
    if found is None or not (staff or found.client_id == ctx.client_id):
        raise Missing("account")
    async with tenant_session(ctx) as session:
        row = await _find_membership(session, ctx, found.id)
        before = row.role if row else None
        if before == "owner" and role != "owner":
            await _require_another_owner(session, ctx, found.id)
        if row is None:
            row = _membership(ctx, found.id, role)
        row.role = role
        session.add(row)
        details = {"before": before, "after": role}
        await audit.record(session, ctx, action="role_granted", target=f"account:{found.id}", details=details)


async def take_away(ctx: Context, *, account_id: UUID) -> None:
    """End an account's membership in this client; it holds from its next request on. Raises Missing, Invalid."""
    ctx.require("account.write")
    async with tenant_session(ctx) as session:
        row = await _find_membership(session, ctx, account_id)
        if row is None:
            raise Missing("account")
        if row.role == "owner":
            await _require_another_owner(session, ctx, account_id)
        await session.delete(row)
        details = {"before": row.role}
        await audit.record(session, ctx, action="role_taken_away", target=f"account:{account_id}", details=details)


async def disable(ctx: Context, *, account_id: UUID) -> None:
    """Disable an account that lives in this client: its sessions and tokens end at once. Raises Missing, Invalid."""
    ctx.require("account.write")
    if account_id == ctx.actor.account_id:
        message = "You cannot disable your own account."
        raise Invalid(message, code="own_account", problems=[Problem("own_account", message)])
    async with tenant_session(ctx) as session:
        row = await _local_account(session, ctx, account_id)
        row.disabled_at = row.disabled_at or utcnow()
        session.add(row)
        await end_all_sessions(session, ctx.client_id, account_id)
        await audit.record(session, ctx, action="account_disabled", target=f"account:{account_id}")


async def enable(ctx: Context, *, account_id: UUID) -> None:
    """Let a disabled account sign in again. Raises Missing."""
    ctx.require("account.write")
    async with tenant_session(ctx) as session:
        row = await _local_account(session, ctx, account_id)
        row.disabled_at, row.failed_attempts, row.locked_until = None, 0, None
        session.add(row)
        await audit.record(session, ctx, action="account_enabled", target=f"account:{account_id}")


async def me(actor: Actor) -> Me:
    """The actor's own account. Raises NotSignedIn."""
    home = await home_of(actor)
    row = await load_account(home.client_id, _own_id(actor))
    return Me(
        id=row.id,
        email=row.email,
        name=row.name,
        locale=row.locale,
        theme=row.theme,
        last_sign_in_at=row.last_sign_in_at,
        recovery_codes_left=len(row.recovery_codes),
    )


async def change_password(actor: Actor, *, current: str, new: str) -> None:
    """A new password for the actor; every session and token of the account ends. Raises Invalid with the field."""
    home = await home_of(actor)
    await attempts.reserve(home.client_id, _own_id(actor))
    row = await load_account(home.client_id, _own_id(actor))
    if not await asyncio.to_thread(crypto.verify_password, row.password_hash, password_form(current)):
        message = "The present password is wrong."
        raise Invalid(message, code="password_wrong", problems=[Problem("password_wrong", message, field="current")])
    hashed = await asyncio.to_thread(crypto.hash_password, checked_password(new, email=row.email))
    async with tenant_session(home) as session:
        row.password_hash, row.failed_attempts, row.locked_until = hashed, 0, None
        session.add(row)
        await end_all_sessions(session, home.client_id, row.id)
        await audit.record(session, home, action="password_changed", target=f"account:{row.id}")


async def _local_account(session: AsyncSession, ctx: Context, account_id: UUID) -> Account:
    query = select(Account).where(Account.client_id == ctx.client_id, Account.id == account_id).with_for_update()
    row = (await session.exec(query)).first()
    if row is None:
        raise Missing("account")
    return row


async def _find_membership(session: AsyncSession, ctx: Context, account_id: UUID) -> Membership | None:
    query = select(Membership).where(Membership.client_id == ctx.client_id, Membership.account_id == account_id)
    return (await session.exec(query.with_for_update())).first()


async def _require_another_owner(session: AsyncSession, ctx: Context, account_id: UUID) -> None:
    """A client that nobody owns could not be mended by anybody."""
    others = await session.exec(
        select(func.count())
        .select_from(Membership)
        .where(
            Membership.client_id == ctx.client_id,
            Membership.role == "owner",
            col(Membership.account_id) != account_id,
        )
    )
    if others.one() == 0:
        message = "A client needs an owner. Make someone else one first."
        raise Invalid(message, code="last_owner", problems=[Problem("last_owner", message, field="role")])


def _membership(ctx: Context, account_id: UUID, role: str) -> Membership:
    return Membership(client_id=ctx.client_id, account_id=account_id, role=role, created_by=ctx.actor.account_id)


def _require_role(ctx: Context, role: str) -> None:
    if role not in ROLES:
        message = f"A role is one of {', '.join(ROLES)}."
        raise Invalid(message, code="not_a_choice", problems=[Problem("not_a_choice", message, field="role")])
    if not ROLES[role] <= ctx.permissions:
        raise Forbidden("account.write")  # nobody gives away more than they have


def _checked_name(name: str) -> str:
    found = name.strip()
    if not found or len(found) > 200 or not found.isprintable():
        message = "Give the person's name."
        raise Invalid(message, code="missing_param", problems=[Problem("missing_param", message, field="name")])
    return found


def _own_id(actor: Actor) -> UUID:
    if actor.account_id is None:
        raise NotSignedIn()
    return actor.account_id
