"""Connections as the deployed logins; a database that the tests here have for themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import psycopg
import pytest

from app.data import routing
from app.data.routing import Database
from tests.db.world import Company, Connection, Worker, company
from tests.servers import TestStack

Connect = Callable[[str], Awaitable[Connection]]


@pytest.fixture(scope="module")
def own(stack: TestStack) -> Iterator[TestStack]:
    """A migrated, empty database for one module."""
    with stack.clone() as mine:
        yield mine


@pytest.fixture
async def connect(own: TestStack) -> AsyncIterator[Connect]:
    """Opens a connection in autocommit as ``web``, ``worker``, ``scheduler``, ``migrate`` or ``superuser``."""
    async with AsyncExitStack() as opened:

        async def open_as(role: str) -> Connection:
            dsn = own.superuser_dsn if role == "superuser" else own.dsn(role)  # type: ignore[arg-type]
            link = await psycopg.AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=None)
            return await opened.enter_async_context(link)

        yield open_as


@pytest.fixture
async def superuser(connect: Connect) -> Connection:
    return await connect("superuser")


@pytest.fixture
async def web(own: TestStack) -> AsyncIterator[Database]:
    """The database as the web process has it; tests here pass it to sessions by ``on``."""
    database = Database(own.dsn("web"), pool_size=2)
    before = routing._Current.database
    routing.use(database)
    yield database
    await database.dispose()
    routing._Current.database = before


@pytest.fixture
async def first(superuser: Connection) -> Company:
    return await company(superuser)


@pytest.fixture
async def second(superuser: Connection) -> Company:
    return await company(superuser)


@pytest.fixture
async def worker(connect: Connect) -> Worker:
    return await Worker(await connect("worker")).register()
