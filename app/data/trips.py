"""Statements that make one transaction in one round trip: for what every request does.

A session (:mod:`app.data.session`) is for work that reads and then writes. Where all statements are known beforehand,
they go to the server together, in one of psycopg's pipelines: what lies between two of its synchronisations is one
transaction, so the client that the first statement sets holds for the others and for no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.data.links import Link
from app.data.routing import Database, database
from app.data.session import SET_TENANT, CommitUnknown, client_of

Rows = list[tuple[Any, ...]]


class Ask(NamedTuple):
    """A statement with psycopg's placeholders, and their values."""

    statement: str
    values: Sequence[Any] | dict[str, Any]


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
            return await _carried(link, asks)
    except psycopg.Error as error:
        lost = link is None or link.connection.closed
        if lost and link and writes:
            raise CommitUnknown("the connection was lost before the answer came") from error
        raise _told(error, lost=lost) from error


async def _carried(link: Link, asks: Sequence[Ask]) -> tuple[Rows, ...]:
    cursors = link.cursors(len(asks))
    if len(asks) == 1:
        await cursors[0].execute(*asks[0])
    else:
        async with link.connection.pipeline():
            for cursor, ask in zip(cursors, asks, strict=True):
                await cursor.execute(*ask)
    return tuple([await cursor.fetchall() for cursor in cursors])


def _told(error: psycopg.Error, *, lost: bool) -> DBAPIError:
    """As SQLAlchemy tells it, so that those who handle errors of sessions handle these."""
    told = DBAPIError.instance(
        None, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=lost, dialect=None
    )
    assert isinstance(told, DBAPIError)
    return told
