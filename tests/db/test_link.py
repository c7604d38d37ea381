"""A connection past psycopg's cursors gives what they give, and knows when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from app.data.link import Link, _numbered
from app.data.routing import Database
from tests.db.world import Connection, value
from tests.servers import TestStack

SOME = UUID("0198a000-0000-7000-8000-000000000001")
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
HALF_A_MEGABYTE = "é" * 250_000


async def opened(own: TestStack, *, prepares: bool = True) -> Link:
    made = await psycopg.AsyncConnection.connect(own.dsn("web"), autocommit=True)
    return Link(made, prepares=prepares)


@pytest.fixture(params=[True, False], ids=["prepares", "does not prepare"])
async def link(own: TestStack, request: pytest.FixtureRequest) -> AsyncIterator[Link]:
    found = await opened(own, prepares=request.param)
    yield found
    await found.close()


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("text", "a 'quoted' % \\ text"),
        ("text", ""),
        ("text", None),
        ("uuid", SOME),
        ("uuid", None),
        ("bigint", 2**40),
        ("integer", -1),
        ("double precision", 0.1),
        ("boolean", False),
        ("bytea", b"\x00\xff"),
        ("timestamptz", NOON),
        ("uuid[]", [SOME, SOME]),
        ("text[]", []),
        ("text", HALF_A_MEGABYTE),
    ],
)
async def test_a_value_comes_back_as_it_went(link: Link, kind: str, given: Any) -> None:
    for _ in range(3):  # also when the statement is prepared
        assert await (await link.execute(f"SELECT %s::{kind}, 1", (given,))).fetchall() == [(given, 1)]


async def test_json_goes_as_text_or_as_an_object(link: Link) -> None:
    asked = [("SELECT %s::jsonb", ('{"a": [1, null]}',)), ("SELECT %s::jsonb", (Jsonb({"a": "é"}),))]
    assert await link.trip(asked) == ([({"a": [1, None]},)], [({"a": "é"},)])


async def test_each_statement_has_its_rows(link: Link) -> None:
    asked = [
        ("SELECT generate_series(1, %s)", (3,)),
        ("SET LOCAL application_name = 'x'", ()),
        ("SELECT 1 WHERE false", ()),
        ("SELECT '100%%'", ()),
    ]
    for _ in range(2):
        assert await link.trip(asked) == ([(1,), (2,), (3,)], [], [], [("100%",)])
    assert await (await link.execute("SELECT 1 WHERE false")).fetchone() is None


async def test_a_trip_is_one_transaction(link: Link) -> None:
    same = ("SELECT pg_current_xact_id()::text", ())
    first, second = await link.trip([same, same])
    assert first == second
    assert await link.trip([same]) != (first,)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await link.trip([("SELECT set_config('app.left', 'x', false)", ()), ("SELECT 1 / %s", (0,)), same])
    assert not link.lost
    assert await link.trip([("SELECT current_setting('app.left', true)", ())]) == ([("",)],)


async def test_a_value_that_cannot_be_sent_spoils_nothing(link: Link) -> None:
    with pytest.raises(psycopg.DataError):
        await link.trip([("SELECT 1", ()), ("SELECT %s::text", ("zero \0 byte",))])
    with pytest.raises(psycopg.ProgrammingError):
        await link.execute("SELECT %s", (object(),))
    assert not link.lost
    assert await link.trip([("SELECT %s::integer", (1,))]) == ([(1,)],)


def test_placeholders_are_numbered() -> None:
    assert _numbered("SELECT %s, '%%', %s") == b"SELECT $1, '%', $2"
    with pytest.raises(ValueError, match=r"%\("):
        _numbered("SELECT %(name)s")


async def test_what_the_server_prepared_and_forgot_is_prepared_again(own: TestStack) -> None:
    link = await opened(own)
    asked = "SELECT %s::integer"
    await link.execute(asked, (1,))
    await link.execute("DEALLOCATE ALL")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        await link.execute(asked, (1,))
    assert await (await link.execute(asked, (2,))).fetchone() == (2,)
    await link.close()


async def test_a_refused_statement_is_prepared_when_it_is_right(own: TestStack, superuser: Connection) -> None:
    link = await opened(own)
    with pytest.raises(psycopg.errors.UndefinedFunction):
        await link.execute("SELECT soon()")
    await superuser.execute("CREATE FUNCTION soon() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
    try:
        for _ in range(2):
            assert await (await link.execute("SELECT soon()")).fetchone() == (1,)
    finally:
        await superuser.execute("DROP FUNCTION soon()")
        await link.close()


async def _ended(superuser: Connection, link: Link) -> None:
    """The server ends the link's connection."""
    number = await (await link.execute("SELECT pg_backend_pid()")).fetchone()
    assert number is not None
    assert await value(superuser, "SELECT pg_terminate_backend(%s, 5000)", number[0]) is True


async def test_the_end_of_an_idle_connection_is_noticed(own: TestStack, superuser: Connection) -> None:
    link = await opened(own)
    await _ended(superuser, link)
    assert link.lost or not link.is_quiet
    await asyncio.sleep(0.1)
    assert link.lost
    with pytest.raises(psycopg.OperationalError):
        await link.execute("SELECT 1")
    await link.close()


async def test_a_connection_that_ends_in_a_trip_is_lost(own: TestStack, superuser: Connection) -> None:
    link = await opened(own)
    number = await (await link.execute("SELECT pg_backend_pid()")).fetchone()
    assert number is not None
    waiting = asyncio.create_task(link.execute("SELECT pg_sleep(30)"))
    await asyncio.sleep(0.2)
    assert await value(superuser, "SELECT pg_terminate_backend(%s, 5000)", number[0]) is True
    with pytest.raises(psycopg.OperationalError):
        await waiting
    assert link.lost
    await link.close()


async def test_what_is_given_up_is_cancelled_on_the_server(own: TestStack, superuser: Connection) -> None:
    database = Database(own.dsn("web"))

    async def sleep() -> None:
        async with database.links().link() as link:
            await link.execute("SELECT pg_sleep(30) AS given_up")

    task = asyncio.create_task(sleep())
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%% AS given_up' AND state = 'active'"
    for _ in range(100):
        if await value(superuser, left) == 0:
            break
        await asyncio.sleep(0.05)
    assert await value(superuser, left) == 0, "the server does not go on with it"
    async with database.links().link() as link:
        assert await (await link.execute("SELECT 1")).fetchone() == (1,)
    await database.dispose()


async def test_an_answer_that_the_loop_does_not_tell_of_is_found_all_the_same(own: TestStack) -> None:
    """A worker that waits for one, and holds its runs for as long, would wait until its end."""
    link = await opened(own)
    asked = asyncio.create_task(link.execute("SELECT pg_sleep(0.2), %s::text", ("found",)))
    await asyncio.sleep(0.05)
    assert asyncio.get_running_loop().remove_reader(link._socket)
    async with asyncio.timeout(20):
        assert (await (await asked).fetchall())[0][1] == "found"
    await link.close()


async def test_the_end_that_the_loop_does_not_tell_of_too(own: TestStack, superuser: Connection) -> None:
    link = await opened(own)
    ((number,),) = await (await link.execute("SELECT pg_backend_pid()")).fetchall()
    asked = asyncio.create_task(link.execute("SELECT pg_sleep(60)"))
    await asyncio.sleep(0.05)
    assert asyncio.get_running_loop().remove_reader(link._socket)
    assert await value(superuser, "SELECT pg_terminate_backend(%s, 5000)", number) is True
    async with asyncio.timeout(20):
        with pytest.raises(psycopg.Error):
            await asked
    assert link.lost
    await link.close()


async def test_a_lost_connection_leaves_alone_whoever_has_its_sockets_number_now(
    own: TestStack, superuser: Connection
) -> None:
    link = await opened(own)
    ((number,),) = await (await link.execute("SELECT pg_backend_pid()")).fetchall()
    asked = asyncio.create_task(link.execute("SELECT pg_sleep(60)"))
    await asyncio.sleep(0.05)
    assert await value(superuser, "SELECT pg_terminate_backend(%s, 5000)", number) is True
    with pytest.raises(psycopg.Error):
        await asked
    others = [await opened(own) for _ in range(3)]
    same = [other for other in others if other._socket == link._socket]
    assert same, "the number of a closed socket is given to the next one"
    await link.close()
    assert asyncio.get_running_loop().remove_reader(same[0]._socket), "it hears no more"
    for other in others:
        await other.close()
