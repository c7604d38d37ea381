"""One round trip is one transaction inside one client, and what ends a connection is told as it is by sessions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.core.context import Actor, Context, system_actor
from app.core.ids import new_id
from app.data.retry import constraint, may_succeed_again, sqlstate
from app.data.routing import Database
from app.data.session import CommitUnknown, tenant_session
from app.data.trips import Ask, door_trip, in_session, tenant_trip
from tests.db.world import Company, Connection, value
from tests.servers import TestStack

pytestmark = pytest.mark.usefixtures("web")
SLUGS = Ask("SELECT slug FROM clients ORDER BY slug", ())


def adding(client_id: Any, name: str) -> Ask:
    return Ask(
        "INSERT INTO workflows (client_id, id, name) VALUES (%s, %s, %s) RETURNING name", (client_id, new_id(), name)
    )


NAMES = Ask("SELECT name FROM workflows ORDER BY name", ())


async def test_each_statement_of_a_trip_sees_its_client_only(first: Company, second: Company) -> None:
    context = Context(first.client_id, first.slug, Actor(first.account_id, "a@x"), "owner")
    assert await tenant_trip(context, SLUGS, NAMES) == ([(first.slug,)], [("W",)])
    elsewhere = Ask("SELECT name FROM workflows WHERE client_id = %s", (second.client_id,))
    assert await tenant_trip(first.client_id, elsewhere) == ([],)


@pytest.mark.parametrize("scope", [None, "", "x", system_actor("worker")])
async def test_without_a_client_it_refuses(scope: Any) -> None:
    with pytest.raises(TypeError, match="client"):
        await tenant_trip(scope, SLUGS)


async def test_a_connection_carries_nothing_over(first: Company) -> None:
    for _ in range(8):  # more than it takes for a statement to be prepared
        assert await tenant_trip(first.client_id, SLUGS) == ([(first.slug,)],)
        assert await door_trip(SLUGS) == []
    assert await door_trip(Ask("SELECT current_user::text", ())) == [("opsloom_web",)]


async def test_side_by_side_trips_keep_their_clients(first: Company, second: Company) -> None:
    companies = [first, second] * 20
    found = await asyncio.gather(*(tenant_trip(company.client_id, SLUGS) for company in companies))
    assert found == [([(company.slug,)],) for company in companies]


async def test_a_trip_is_done_as_a_whole_or_not_at_all(first: Company, second: Company) -> None:
    with pytest.raises(DBAPIError) as refused:
        await tenant_trip(first.client_id, adding(first.client_id, "half"), adding(second.client_id, "x"), writes=True)
    assert sqlstate(refused.value) == "42501"
    assert await tenant_trip(first.client_id, NAMES) == ([("W",)],)
    assert await tenant_trip(first.client_id, adding(first.client_id, "whole"), NAMES, writes=True) == (
        [("whole",)],
        [("W",), ("whole",)],
    )
    assert await tenant_trip(first.client_id, NAMES) == ([("W",), ("whole",)],)


async def test_what_is_violated_is_named(first: Company) -> None:
    again = Ask("INSERT INTO clients (client_id, slug, name) VALUES (%s, %s, 'x')", (first.client_id, first.slug))
    for attempt in (tenant_trip(first.client_id, again, writes=True), _through_a_session(first, again)):
        with pytest.raises(IntegrityError) as taken:
            await attempt
        assert constraint(taken.value) in ("clients_pkey", "clients_slug_key")
        assert not may_succeed_again(taken.value)


async def _through_a_session(company: Company, ask: Ask) -> None:
    async with tenant_session(company.client_id) as session:
        await in_session(session, ask)


async def test_a_cancelled_trip_leaves_no_client_behind(first: Company) -> None:
    task = asyncio.create_task(tenant_trip(first.client_id, Ask("SELECT pg_sleep(30)::text", ())))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await door_trip(SLUGS) == []
    assert await tenant_trip(first.client_id, SLUGS) == ([(first.slug,)],)


async def test_a_connection_that_the_server_closed_is_replaced(first: Company, superuser: Connection) -> None:
    await asyncio.gather(*(tenant_trip(first.client_id, SLUGS) for _ in range(2)))
    ended = await value(
        superuser,
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
        " WHERE usename = 'opsloom_web' AND datname = current_database()",
    )
    assert isinstance(ended, int)
    assert ended >= 1
    assert await tenant_trip(first.client_id, adding(first.client_id, "after"), writes=True) == ([("after",)],)


async def test_a_connection_lost_in_a_trip_says_so(first: Company, superuser: Connection) -> None:
    """A deferred trigger ends the connection while the transaction is committed."""
    await superuser.execute(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'"
    )
    await superuser.execute(
        "CREATE CONSTRAINT TRIGGER lose AFTER INSERT ON workflows DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION lose()"
    )
    try:
        with pytest.raises(CommitUnknown):
            await tenant_trip(first.client_id, adding(first.client_id, "lost"), writes=True)
        with pytest.raises(DBAPIError) as lost:
            await tenant_trip(first.client_id, adding(first.client_id, "lost"))
        assert lost.value.connection_invalidated
    finally:
        await superuser.execute("DROP TRIGGER lose ON workflows")
        await superuser.execute("DROP FUNCTION lose()")
    assert await tenant_trip(first.client_id, SLUGS) == ([(first.slug,)],)


async def test_a_database_that_is_away_is_told(own: TestStack, first: Company) -> None:
    away = Database(own.dsn("web").replace("opsloom_web", "nobody"))
    with pytest.raises(DBAPIError) as refused:
        await tenant_trip(first.client_id, SLUGS, on=away)
    assert refused.value.connection_invalidated
