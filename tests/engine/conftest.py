"""Fixtures of the engine's tests: the services as the web process has them, simulators, and workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.data import routing
from app.data.counters import close_redis
from connectors.registry import CONNECTORS
from connectors.testing import Sandbox, sandbox_of
from tests.engine.kit import Relay, Worker, Workers, leading_to
from tests.servers import TestStack


@pytest.fixture(scope="session")
async def web(stack: TestStack) -> AsyncIterator[TestStack]:
    """The servers, with this process signed in to PostgreSQL as the web application."""
    routing.configure("web", stack.settings)
    yield stack
    await routing.dispose()
    await close_redis()


@pytest.fixture(scope="session")
def sandboxes(web: TestStack) -> Iterator[dict[str, Sandbox]]:
    """A simulator of each platform, which connections of this process and of its workers lead to."""
    with ExitStack() as open_ones:
        found = {name: open_ones.enter_context(sandbox_of(name)) for name in CONNECTORS}
        open_ones.enter_context(leading_to(*found.values()))
        yield found


@pytest.fixture
def m365(sandboxes: dict[str, Sandbox]) -> Sandbox:
    """Microsoft 365 as it was seeded, without faults."""
    sandboxes["m365"].reset()
    return sandboxes["m365"]


@pytest.fixture
def aws(sandboxes: dict[str, Sandbox]) -> Sandbox:
    """AWS as it was seeded, without faults."""
    sandboxes["aws"].reset()
    return sandboxes["aws"]


@pytest.fixture
def workers(web: TestStack, tmp_path: Path) -> Iterator[Workers]:
    """Starts workers for one test and ends them."""
    found = Workers(web, tmp_path)
    yield found
    found.close()


@pytest.fixture(scope="module")
def relay(web: TestStack, sandboxes: dict[str, Sandbox], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """One living worker at any time: whoever is killed is replaced, and the replacement is the next one's victim."""
    found = Relay(web, tmp_path_factory.mktemp("relay"))
    yield found
    found.close()


@pytest.fixture
def runner(relay: Relay) -> Worker:
    """A worker that lives, shared by a module's tests."""
    return relay.runner
