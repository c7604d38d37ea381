"""Signing in, and proving again who one is before something that matters."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import NoReturn
from uuid import UUID

from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core import crypto, metrics
from app.core.clock import utcnow
from app.core.context import Actor, Context
from app.core.errors import NotSignedIn, OpsloomError, Problem, TooMany
from app.core.logging import get_logger
from app.data import doors
from app.data.models.people import Account, AccountSession
from app.data.repositories import audit
from app.data.session import door_session, tenant_session
from app.services.auth import attempts, factors
from app.services.auth.home import home_context, home_of, load_account
from app.services.auth.names import email_key, password_form
from app.services.auth.sessions import SignedIn, add_session, sign_out

log = get_logger(__name__)
_LONGEST_TYPED = 1024
STEP_UP_LASTS = timedelta(minutes=5)


async def sign_in(
    *, email: str, password: str, otp: str, ip: str | None, user_agent: str | None = None, replacing: str | None = None
) -> SignedIn:
    """Check password and code, and begin a session. ``replacing`` is the token of an older session to end.

    Raises NotSignedIn whose problem names ``password`` or ``otp``, TooMany with ``retry_after`` in seconds.
    """
    account = await prove(email=email, password=password, otp=otp, ip=ip, via="session")
    if replacing:
        await sign_out(replacing, ip)
    return await add_session(account, ip=ip, user_agent=user_agent)


async def prove(*, email: str, password: str, otp: str, ip: str | None, via: str) -> Account:
    """The account whose password and code these are. Counted, slowed down, audited."""
    try:
        return await _prove(email[:_LONGEST_TYPED], password[:_LONGEST_TYPED], otp[:64], ip, via)
    except TooMany:
        metrics.authentication_attempts.labels("password", "slowed").inc()
        raise
    except NotSignedIn as error:
        metrics.authentication_attempts.labels("password", error.code).inc()
        raise


async def _prove(email: str, password: str, otp: str, ip: str | None, via: str) -> Account:
    await attempts.check_address(ip)
    key = email_key(email)
    async with door_session() as session:
        found = await doors.account_by_email(session, key)
    if found is None:
        await attempts.count_unknown(key)
        await asyncio.to_thread(crypto.verify_password, None, password)
        await _refuse_unknown(ip)
    await attempts.reserve(found.client_id, found.id)
    account = await load_account(found.client_id, found.id)
    context = home_context(_actor(account, ip, via), account.client_id)
    right = await asyncio.to_thread(crypto.verify_password, account.password_hash, password_form(password))
    if not right or account.disabled_at is not None:
        await _refuse(context, _wrong_password(), "disabled" if right else "password")
    return await _second_factor(context, account, otp)


async def _second_factor(context: Context, account: Account, otp: str) -> Account:
    secret = await factors.secret_of(account)
    try:
        async with tenant_session(context) as session:
            method = await factors.use_code(session, account, secret, otp)
            row = (await session.exec(_mine(account))).one()
            row.failed_attempts, row.locked_until, row.last_sign_in_at = 0, None, utcnow()
            session.add(row)
            await audit.record(session, context, action="sign_in", target=f"account:{row.id}", details={"by": method})
    except factors.WrongCode as error:
        if error.code == "code_missing":
            await attempts.give_back(account.client_id, account.id)
            raise NotSignedIn(error.message, code=error.code, problems=error.problems) from None
        await _refuse(context, error, error.code)
    metrics.authentication_attempts.labels("password", "success").inc()
    return row


async def require_step_up(actor: Actor, otp: str) -> None:
    """Nothing where the session proved itself with a code within the last minutes and ``otp`` is empty; otherwise as
    :func:`step_up`."""
    if otp.strip() or actor.session_id is None or not await _stepped_up_lately(actor):
        await step_up(actor, otp)


async def _stepped_up_lately(actor: Actor) -> bool:
    home = await home_of(actor)
    async with tenant_session(home) as session:
        query = select(AccountSession.stepped_up_at).where(
            AccountSession.client_id == home.client_id,
            AccountSession.id == actor.session_id,
            AccountSession.account_id == actor.account_id,
        )
        found = (await session.exec(query)).first()
    return found is not None and utcnow() - found < STEP_UP_LASTS


async def step_up(actor: Actor, otp: str) -> None:
    """Prove again with a code who one is, before approving or revealing.

    Raises WrongCode (its problem names ``otp``), TooMany, NotSignedIn for the system or a vanished account.
    """
    context = await home_of(actor)
    account = await load_account(context.client_id, _account_id(actor))
    await attempts.reserve(account.client_id, account.id)
    try:
        secret = await factors.secret_of(account)
        async with tenant_session(context) as session:
            await factors.use_code(session, account, secret, otp)
            row = (await session.exec(_mine(account))).one()
            row.failed_attempts, row.locked_until = 0, None
            session.add(row)
            await _note_step_up(session, context, actor)
            await audit.record(session, context, action="stepped_up", target=f"account:{account.id}")
    except factors.WrongCode as error:
        metrics.authentication_attempts.labels("step_up", error.code).inc()
        if error.code == "code_missing":
            await attempts.give_back(account.client_id, account.id)
        else:
            await _record_failure(context, "step_up_failed", error.code)
        raise
    metrics.authentication_attempts.labels("step_up", "success").inc()


async def _note_step_up(session: AsyncSession, context: Context, actor: Actor) -> None:
    await session.exec(
        update(AccountSession)
        .where(
            col(AccountSession.client_id) == context.client_id,
            col(AccountSession.id) == actor.session_id,
            col(AccountSession.account_id) == actor.account_id,
        )
        .values(stepped_up_at=utcnow())
    )


def _account_id(actor: Actor) -> UUID:
    if actor.account_id is None:
        raise NotSignedIn()
    return actor.account_id


def _mine(account: Account):
    return select(Account).where(Account.client_id == account.client_id, Account.id == account.id)


def _actor(account: Account, ip: str | None, via: str) -> Actor:
    return Actor(account_id=account.id, email=account.email, name=account.name, via=via, ip=ip, locale=account.locale)


def _wrong_password() -> NotSignedIn:
    message = "The e-mail address or the password is wrong."
    return NotSignedIn(message, code="password_wrong", problems=[Problem("password_wrong", message, field="password")])


async def _refuse_unknown(ip: str | None) -> NoReturn:
    """No client's trail is concerned. What was typed may be a password in the wrong field, so it is not logged."""
    await attempts.count_address(ip)
    log.info("sign_in_failed", reason="unknown_account", ip=ip)
    raise _wrong_password()


async def _refuse(context: Context, error: OpsloomError, reason: str) -> NoReturn:
    await attempts.count_address(context.actor.ip)
    await _record_failure(context, "sign_in_failed", reason)
    raise NotSignedIn(error.message, code=error.code, params=error.params, problems=error.problems) from None


async def _record_failure(context: Context, action: str, reason: str) -> None:
    target = f"account:{context.actor.account_id}"
    async with tenant_session(context) as session:
        await audit.record(
            session, context, action=action, target=target, outcome="failure", details={"reason": reason}
        )
