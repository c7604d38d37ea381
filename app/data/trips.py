"""Statements that make one transaction in one round trip: for what every request does.

A session (:mod:`app.data.session`) is for work that reads and then writes. Where all statements are known beforehand,
they go to the server together (:mod:`app.data.link`), so the client that the first statement sets holds for the others
and for no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.data.link import Link, Rows, Values
from app.data.routing import Database, database
from app.data.session import SET_TENANT, CommitUnknown, client_of


class Ask(NamedTuple):
    """A statement with psycopg's ``%s``, and their values."""

    statement: str
    values: Values


async def tenant_trip(
    scope: Context | UUID, *asks: Ask, writes: bool = False, on: Database | None = None
) -> tuple[Rows, ...]:
    """The rows of each of ``asks``, done in one transaction inside one client, as in a tenant session.

    ``writes`` says that something is changed: whether it was is not known where the connection is lost.

    Raises TypeError without a scope, sqlalchemy.exc.DBAPIError where the database refuses or is away, CommitUnknown.
    """
    scoped = Ask(SET_TENANT, (str(client_of(scope)),))
    return (await _trip((scoped, *asks), on, writes=writes))[1:]


async def door_trip(ask: Ask, *, on: Database | None = None) -> Rows:
    """The rows of a statement that calls doors and sees no client. Raises as :func:`tenant_trip`."""
    return (await _trip((ask,), on, writes=False))[0]


async def in_session(session: AsyncSession, ask: Ask) -> Rows:
    """The same statement inside a session, past SQLAlchemy's cursor, which would take longer than the statement."""
    link: Any = (await (await session.connection()).get_raw_connection()).driver_connection
    try:
        return await (await link.execute(*ask)).fetchall()
    except psycopg.Error as error:
        raise _told(error, lost=link.closed) from error


async def _trip(asks: Sequence[Ask], on: Database | None, *, writes: bool) -> tuple[Rows, ...]:
    link: Link | None = None
    try:
        async with (on or database()).links().link() as link:
            return await link.trip(asks)
    except psycopg.Error as error:
        lost = link is None or link.lost
        if lost and link and writes:
            raise CommitUnknown("the connection was lost before the answer came") from error
        raise _told(error, lost=lost) from error


def _told(error: psycopg.Error, *, lost: bool) -> DBAPIError:
    """As SQLAlchemy tells it, so that those who handle errors of sessions handle these."""
    told = DBAPIError.instance(
        None, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=lost, dialect=None
    )
    assert isinstance(told, DBAPIError)
    return told
