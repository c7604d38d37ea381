"""Sessions of browsers. The cookie holds a random token; the database holds its hash.

A session ends after some minutes without a request, and after some hours anyhow. A token is replaced at a page load
when it is some minutes old; whoever then comes with the old one, after a moment of grace, has copied it: the session
ends, for the thief and the owner. A websocket keeps the cookie that it was opened with, so it may go on with the old
token for a while (``live``), but cannot be renewed with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core import crypto, metrics
from app.core.context import Actor
from app.core.errors import Missing, NotSignedIn
from app.core.ids import new_id
from app.core.settings import get_settings
from app.data import entry_doors
from app.data.models.people import Account, AccountSession
from app.data.repositories import audit
from app.data.session import tenant_session
from app.services.auth.home import home_context, home_of

SESSION_COOKIE = "__Host-opsloom"
TOKEN_PREFIX = "ols_"  # noqa: S105 - it marks a token, it is none
ROTATE_AFTER = timedelta(minutes=15)
GRACE = timedelta(seconds=60)
SOCKET_GRACE = timedelta(minutes=30)
_TOUCH_AFTER = timedelta(seconds=60)

# The newest token of the session that a token belongs to, and every one on the way there.
_CHAIN = text("""
    WITH RECURSIVE chain AS (
        SELECT id, replaced_by, created_at, revoked_at, expires_at FROM sessions
         WHERE client_id = :client AND id = :session
        UNION ALL
        SELECT s.id, s.replaced_by, s.created_at, s.revoked_at, s.expires_at FROM sessions s
          JOIN chain c ON s.client_id = :client AND s.id = c.replaced_by
    )
    SELECT id, replaced_by, created_at, revoked_at, expires_at FROM chain
""")
_TOUCH = text("""
    UPDATE sessions
       SET last_seen_at = clock_timestamp(),
           expires_at = least(clock_timestamp() + make_interval(secs => :idle), absolute_expires_at)
     WHERE client_id = :client AND id = :session AND revoked_at IS NULL AND replaced_by IS NULL
""")
# Of two page loads at once one replaces the token; the other finds it replaced and goes on with the old one.
_REPLACE = text("""
    UPDATE sessions SET replaced_by = :new, expires_at = least(absolute_expires_at, clock_timestamp() + :grace)
     WHERE client_id = :client AND id = :old AND replaced_by IS NULL AND revoked_at IS NULL
""")


@dataclass(frozen=True)
class SignedIn:
    """A session that has just begun or whose token was replaced. ``token`` goes into the cookie and nowhere else."""

    token: str
    session_id: UUID
    account_id: UUID
    expires_at: datetime


class SessionView(BaseModel):
    """One of an account's sessions, as its list shows it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip: str | None
    user_agent: str | None
    current: bool


async def add_session(account: Account, *, ip: str | None, user_agent: str | None) -> SignedIn:
    """A new session of ``account``."""
    settings = get_settings()
    token = crypto.new_token(TOKEN_PREFIX)
    async with tenant_session(account.client_id) as session:
        now = await _now(session)
        row = AccountSession(
            client_id=account.client_id,
            account_id=account.id,
            token_hash=crypto.token_hash(token),
            created_at=now,
            last_seen_at=now,
            expires_at=now + timedelta(seconds=settings.session_idle_s),
            absolute_expires_at=now + timedelta(seconds=settings.session_absolute_s),
            ip=ip,
            user_agent=(user_agent or "")[:300] or None,
        )
        session.add(row)
    return SignedIn(token, row.id, account.id, row.expires_at)


async def _now(session: AsyncSession) -> datetime:
    moment: datetime = (await (await session.connection()).exec_driver_sql("SELECT clock_timestamp()")).scalar_one()
    return moment


async def resolve_session(token: str, ip: str | None = None, *, live: bool = True, touch: bool = True) -> Actor:
    """Who has this token. Raises NotSignedIn.

    ``live`` is for a websocket, which may have been opened before the token was replaced. A request that brings its
    cookie afresh passes False: a token that was replaced is then a stolen one. ``touch`` False only looks: a page that
    keeps itself up to date must not keep a session alive that nobody uses.
    """
    row = await _found(token)
    _require_usable(row)
    session_id = row.id
    if row.replaced_by is not None:
        session_id = await _successor(row, ip, live=live)
    if touch and row.now - row.last_seen_at > _TOUCH_AFTER:
        await _touch(row.client_id, session_id)
    return _actor(row, session_id, ip)


async def _found(token: str) -> entry_doors.SessionRow:
    if not token.startswith(TOKEN_PREFIX):
        raise NotSignedIn()
    row = await entry_doors.session_by_hash(crypto.token_hash(token))
    if row is None:
        metrics.authentication_attempts.labels("session", "unknown").inc()
        raise NotSignedIn()
    return row


def _require_usable(row: entry_doors.SessionRow) -> None:
    ended = row.revoked_at is not None or row.account_disabled_at is not None
    late = row.expires_at <= row.now or row.absolute_expires_at <= row.now
    if ended or late:
        reason = "ended" if ended else "expired"
        metrics.authentication_attempts.labels("session", reason).inc()
        raise NotSignedIn("Your session has ended. Sign in again.", code=f"session_{reason}")


async def _successor(row: entry_doors.SessionRow, ip: str | None, *, live: bool) -> UUID:
    """The newest token's session, where the old token may still be used. Ends all of it where it may not."""
    async with tenant_session(row.client_id) as session:
        chain = (await (await session.connection()).execute(_CHAIN, {"client": row.client_id, "session": row.id})).all()
    newest = chain[-1]
    if newest.revoked_at is not None or newest.expires_at <= row.now:
        raise NotSignedIn("Your session has ended. Sign in again.", code="session_ended")
    if not live and len(chain) > 1 and row.now - chain[1].created_at > GRACE:
        await _end_copied(row, [link.id for link in chain], ip)
    session_id: UUID = newest.id
    return session_id


async def _end_copied(row: entry_doors.SessionRow, sessions: list[UUID], ip: str | None) -> None:
    metrics.authentication_attempts.labels("session", "reused").inc()
    context = home_context(_actor(row, row.id, ip), row.client_id)
    async with tenant_session(context) as session:
        await _revoke(session, row.client_id, sessions)
        target = f"session:{row.id}"
        await audit.record(session, context, action="session_reuse_detected", target=target, outcome="denied")
    raise NotSignedIn("Your session was ended, since its token was used twice. Sign in again.", code="session_reused")


async def _touch(client_id: UUID, session_id: UUID) -> None:
    asked = {"client": client_id, "session": session_id, "idle": get_settings().session_idle_s}
    async with tenant_session(client_id) as session:
        await (await session.connection()).execute(_TOUCH, asked)


async def renew_session(token: str, ip: str | None = None, user_agent: str | None = None) -> SignedIn | None:
    """At a page load: a new token where the present one is old enough, otherwise None. Raises NotSignedIn."""
    row = await _found(token)
    _require_usable(row)
    if row.replaced_by is not None:
        await _successor(row, ip, live=False)
        return None
    if row.now - row.created_at < ROTATE_AFTER:
        return None
    fresh, new = crypto.new_token(TOKEN_PREFIX), new_id()
    async with tenant_session(row.client_id) as session:
        asked = {"new": new, "grace": SOCKET_GRACE, "client": row.client_id, "old": row.id}
        if (await (await session.connection()).execute(_REPLACE, asked)).rowcount != 1:
            return None
        session.add(_replacement(row, new, fresh, ip, user_agent))
    return SignedIn(fresh, new, row.account_id, row.expires_at)


def _replacement(
    row: entry_doors.SessionRow, new: UUID, token: str, ip: str | None, user_agent: str | None
) -> AccountSession:
    idle = timedelta(seconds=get_settings().session_idle_s)
    return AccountSession(
        client_id=row.client_id,
        id=new,
        account_id=row.account_id,
        token_hash=crypto.token_hash(token),
        created_at=row.now,
        last_seen_at=row.now,
        expires_at=min(row.now + idle, row.absolute_expires_at),
        absolute_expires_at=row.absolute_expires_at,
        ip=ip,
        user_agent=(user_agent or "")[:300] or None,
        stepped_up_at=row.stepped_up_at,
    )


async def sign_out(token: str, ip: str | None = None) -> None:
    """End the session of this token. Nothing happens where there is none."""
    try:
        row = await _found(token)
    except NotSignedIn:
        return
    context = home_context(_actor(row, row.id, ip), row.client_id)
    async with tenant_session(context) as session:
        chain = (await (await session.connection()).execute(_CHAIN, {"client": row.client_id, "session": row.id})).all()
        await _revoke(session, row.client_id, [link.id for link in chain])
        await audit.record(session, context, action="sign_out", target=f"session:{row.id}")


async def list_sessions(actor: Actor) -> list[SessionView]:
    """The account's living sessions, the newest first."""
    home = await home_of(actor)
    async with tenant_session(home) as session:
        now = await _now(session)
        found = await session.exec(
            select(AccountSession)
            .where(
                AccountSession.client_id == home.client_id,
                AccountSession.account_id == actor.account_id,
                col(AccountSession.revoked_at).is_(None),
                col(AccountSession.replaced_by).is_(None),
                col(AccountSession.expires_at) > now,
            )
            .order_by(col(AccountSession.created_at).desc())
        )
        return [_view(row, actor) for row in found.all()]


async def end_session(actor: Actor, session_id: UUID) -> None:
    """End one of the account's own sessions. Raises Missing."""
    home = await home_of(actor)
    async with tenant_session(home) as session:
        query = select(AccountSession.id).where(
            AccountSession.client_id == home.client_id,
            AccountSession.id == session_id,
            AccountSession.account_id == actor.account_id,
        )
        if (await session.exec(query)).first() is None:
            raise Missing("session")
        asked = {"client": home.client_id, "session": session_id}
        chain = (await (await session.connection()).execute(_CHAIN, asked)).all()
        await _revoke(session, home.client_id, [link.id for link in chain])
        await audit.record(session, home, action="session_ended", target=f"session:{session_id}")


async def end_all_sessions(session: AsyncSession, client_id: UUID, account_id: UUID) -> None:
    """End every session and token of an account (disabled, password changed), in the caller's transaction."""
    for table in ("sessions", "api_tokens"):
        statement = text(
            f"UPDATE {table} SET revoked_at = clock_timestamp()"  # noqa: S608 - two constants
            " WHERE client_id = :client AND account_id = :account AND revoked_at IS NULL"
        )
        await (await session.connection()).execute(statement, {"client": client_id, "account": account_id})


async def _revoke(session: AsyncSession, client_id: UUID, sessions: list[UUID]) -> None:
    now = await _now(session)
    await session.exec(
        update(AccountSession)
        .where(
            col(AccountSession.client_id) == client_id,
            col(AccountSession.id).in_(sessions),
            col(AccountSession.revoked_at).is_(None),
        )
        .values(revoked_at=now)
    )


def _actor(row: entry_doors.SessionRow, session_id: UUID, ip: str | None) -> Actor:
    return Actor(
        account_id=row.account_id,
        email=row.email,
        name=row.name,
        via="session",
        session_id=session_id,
        ip=ip,
        locale=row.locale,
    )


def _view(row: AccountSession, actor: Actor) -> SessionView:
    return SessionView(
        id=row.id,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
        ip=row.ip,
        user_agent=row.user_agent,
        current=row.id == actor.session_id,
    )
