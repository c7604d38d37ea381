"""Fixtures of the tests that act through the services, on real servers, as the web process does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from app.data import routing
from app.data.counters import close_redis, get_redis
from tests.servers import TestStack
from tests.stack.http import serving
from tests.stack.people import World, make_world
from tests.stack.platforms import M365, m365
from tests.stack.routes import caller, target

__all__ = ["caller", "target"]


@pytest.fixture(scope="session")
async def web(stack: TestStack) -> AsyncIterator[TestStack]:
    """The servers, with this process signed in to PostgreSQL as the web application."""
    routing.configure("web", stack.settings)
    yield stack
    await routing.dispose()
    await close_redis()


@pytest.fixture(scope="session")
async def world(web: TestStack) -> World:
    """An MSP with two clients, and people of every role in the first of them."""
    return await make_world()


@pytest.fixture
async def calm(web: TestStack) -> None:
    """No address or name is slowed down by what an earlier test did."""
    await get_redis().flushdb()


@pytest.fixture(scope="session")
def simulated(web: TestStack) -> Iterator[M365]:
    """The Microsoft 365 simulator, which connections of this process lead to."""
    with m365() as found:
        yield found


@pytest.fixture(scope="session")
async def address(web: TestStack) -> AsyncIterator[str]:
    """Where the gateway answers."""
    async with serving() as found:
        yield found


@pytest.fixture
async def http(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that nobody is signed in with."""
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as client:
        yield client
