"""The doors through which code reaches rows.

``tenant_session`` is the ordinary one: a transaction that sees one client. ``overview_session`` reads lists over the
clients an account is a member of. ``door_session`` has neither, so no row is visible: only functions in
:mod:`app.data.doors` can be called through it.

The scope is set inside the transaction and ends with it, so a pooled connection never carries it on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.orm import SessionTransaction
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Actor, Context
from app.data import roles
from app.data.rls import ACCOUNT_SETTING, TENANT_SETTING
from app.data.routing import Database, Route, database

Hook = Callable[[], Awaitable[Any]]
_SCOPE, _HOOKS = "scope", "after_commit"
SET_TENANT = f"SELECT set_config('{TENANT_SETTING}', %s, true)"
_SET_OVERVIEW = f"SELECT set_config('role', '{roles.OVERVIEW}', true), set_config('{ACCOUNT_SETTING}', %s, true)"
_AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT"}
_SNAPSHOT = {"isolation_level": "REPEATABLE READ"}
_OPEN_ATTEMPTS = 3
_log = structlog.get_logger(__name__)


class CommitUnknown(Exception):
    """The connection was lost while committing: whether the transaction took effect is not known.

    Look before doing it again: an idempotency key, or the row itself, tells.
    """


class _ScopedSession(Session):
    """A session whose every transaction begins with its scope."""


@event.listens_for(_ScopedSession, "after_begin")
def _enter_scope(session: SyncSession, transaction: SessionTransaction, connection: Connection) -> None:
    scope = session.info.get(_SCOPE)
    if scope is not None and not transaction.nested:
        statement, value = scope
        connection.exec_driver_sql(statement, (value,))


@asynccontextmanager
async def tenant_session(
    scope: Context | UUID, *, route: Route = Route.PRIMARY, on: Database | None = None, snapshot: bool = False
) -> AsyncIterator[AsyncSession]:
    """One transaction inside one client: committed at the end of the block, rolled back where it raises.

    ``scope`` is the context of whoever acts, or a client's id where nobody is signed in yet (sign-in itself, setup).
    Everything else is invisible: other clients' rows are not there, and writing one is refused (SQLSTATE 42501).
    With ``snapshot``, all that is read is as it was at one moment; it is for reading only.

    Raises TypeError without a scope, sqlalchemy.exc.DBAPIError where the database refuses or is away.
    """
    async with _session((SET_TENANT, str(client_of(scope))), route, on, _SNAPSHOT if snapshot else None) as session:
        yield session


@asynccontextmanager
async def overview_session(
    actor: Actor, *, route: Route = Route.REPLICA, on: Database | None = None
) -> AsyncIterator[AsyncSession]:
    """A read-only transaction over all clients that the account is a member of, as the database has it.

    A token that is limited to some clients is not known to the database: the caller filters by ``actor.clients`` too.

    Raises TypeError for the system, which is a member of nothing.
    """
    if not isinstance(actor, Actor) or actor.account_id is None:
        raise TypeError("an overview needs a signed-in account")
    async with _session((_SET_OVERVIEW, str(actor.account_id)), route, on) as session:
        yield session


@asynccontextmanager
async def door_session(*, on: Database | None = None) -> AsyncIterator[AsyncSession]:
    """No client, for :mod:`app.data.doors`. Each statement is a transaction of its own: one round trip."""
    async with _session(None, Route.PRIMARY, on, _AUTOCOMMIT) as session:
        yield session


def after_commit(session: AsyncSession, hook: Hook) -> None:
    """Await ``hook()`` once the transaction has been committed, never when it is rolled back.

    What has been committed stays so: an exception of a hook is logged and not raised. Use it for wake-ups, which may
    be lost.
    """
    session.info.setdefault(_HOOKS, []).append(hook)


def client_of(scope: Context | UUID) -> UUID:
    """The client that a scope means. Raises TypeError where it means none."""
    client = scope.client_id if isinstance(scope, Context) else scope
    if not isinstance(client, UUID):
        raise TypeError("a tenant session needs a client")
    return client


@asynccontextmanager
async def _session(
    scope: tuple[str, str] | None, route: Route, on: Database | None, options: dict[str, str] | None = None
) -> AsyncIterator[AsyncSession]:
    session = await _open(scope, (on or database()), route, options)
    try:
        yield session
        await _commit(session)
    except BaseException:
        await session.rollback()
        raise
    finally:
        await session.close()
    for hook in session.info.get(_HOOKS, ()):
        await run_hook(hook)


async def _open(
    scope: tuple[str, str] | None, where: Database, route: Route, options: dict[str, str] | None
) -> AsyncSession:
    """Begin and enter the scope. A pooled connection that the server has closed meanwhile is replaced: nothing has
    been done through it yet."""
    for attempt in range(1, _OPEN_ATTEMPTS + 1):
        session = AsyncSession(
            where.engine(route), sync_session_class=_ScopedSession, expire_on_commit=False, info={_SCOPE: scope}
        )
        try:
            await session.connection(execution_options=options)
        except DBAPIError as error:
            await session.close()
            if not error.connection_invalidated or attempt == _OPEN_ATTEMPTS:
                raise
        except BaseException:
            await session.close()
            raise
        else:
            return session
    raise AssertionError("unreachable")


async def _commit(session: AsyncSession) -> None:
    await session.flush()
    try:
        await session.commit()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise CommitUnknown("the connection was lost while committing") from error
        raise


async def run_hook(hook: Hook) -> None:
    """Do what comes after a commit. What it raises is logged: the commit stays."""
    try:
        await hook()
    except Exception:
        _log.exception("after_commit_hook_failed")
