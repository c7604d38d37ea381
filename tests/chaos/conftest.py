"""Fixtures of the chaos tests: those of the engine's tests, and servers that a test may take away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.data import routing
from app.data.counters import close_redis
from tests.engine.conftest import aws, m365, relay, runner, sandboxes, web, workers
from tests.engine.kit import Workers
from tests.servers import TestStack

__all__ = ["aws", "m365", "relay", "runner", "sandboxes", "web", "workers"]


@pytest.fixture
async def house(private_stack: TestStack) -> AsyncIterator[TestStack]:
    """Servers of this test's own, with this process signed in to them as the web application."""
    shared = routing._Current.database
    routing.configure("web", private_stack.settings)
    yield private_stack
    await routing.dispose()
    await close_redis()
    if shared is not None:
        routing.use(shared)


@pytest.fixture
def crew(house: TestStack, tmp_path: Path) -> Iterator[Workers]:
    found = Workers(house, tmp_path)
    yield found
    found.close()
