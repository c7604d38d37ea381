"""Whole transactions again, when PostgreSQL says that another attempt may succeed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.data.routing import Database
from app.data.session import CommitUnknown, tenant_session

T = TypeVar("T")

# A serialization failure, a deadlock: the transaction was rolled back because of another one.
CONFLICTS = frozenset({"40001", "40P01"})
# The server is stopping, starting or (25006) has become a standby: another connection may reach the new primary.
_MOVED = frozenset({"57P01", "57P02", "57P03", "25006"})
_FIRST_PAUSE_S = 0.02


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's code of an error that SQLAlchemy or psycopg raised; None where the server did not answer."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code: str | None = getattr(cause, "sqlstate", None)
    return code


def constraint(error: BaseException) -> str | None:
    """The name of the constraint that was violated, to tell the person which field is at fault."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    name: str | None = getattr(getattr(cause, "diag", None), "constraint_name", None)
    return name


def may_succeed_again(error: BaseException) -> bool:
    """Whether nothing was written and another attempt may succeed."""
    if isinstance(error, CommitUnknown):
        return False
    code = sqlstate(error)
    if code in CONFLICTS or code in _MOVED or (code or "").startswith("08"):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


async def in_tenant(
    scope: Context | UUID,
    work: Callable[[AsyncSession], Awaitable[T]],
    *,
    attempts: int = 5,
    on: Database | None = None,
) -> T:
    """Run ``work(session)`` in a tenant session, again from its beginning on a conflict or a lost connection.

    ``work`` must have no effect outside the transaction (use ``after_commit``). Raises what the last attempt raised;
    :class:`CommitUnknown` at once.
    """
    for attempt in range(1, attempts + 1):
        try:
            async with tenant_session(scope, on=on) as session:
                return await work(session)
        except DBAPIError as error:
            if attempt == attempts or not may_succeed_again(error):
                raise
        await asyncio.sleep(random.uniform(0.5, 1.5) * _FIRST_PAUSE_S * 2**attempt)  # noqa: S311 - jitter
    raise AssertionError("unreachable")
