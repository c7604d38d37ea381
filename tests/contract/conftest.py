"""One simulator a platform for the whole session, and a fresh state in it for every test that asks for a bench."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from connectors.testing import Bench, Sandbox, sandbox_of


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[dict[str, Sandbox]]:
    """Simulators by platform, started when first asked for."""
    with ExitStack() as stack:

        class Started(dict[str, Sandbox]):
            def __missing__(self, platform: str) -> Sandbox:
                self[platform] = stack.enter_context(sandbox_of(platform))
                return self[platform]

        yield Started()


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, sandboxes: dict[str, Sandbox]) -> Sandbox:
    """The platform's simulator in its seeded state. A test names its platform by ``action_id`` or ``platform``."""
    named = request.node.callspec.params
    platform = named.get("platform") or named["action_id"].partition(".")[0]
    found = sandboxes[platform]
    found.reset()
    return found


@pytest.fixture
async def bench(sandbox: Sandbox) -> AsyncIterator[Bench]:
    """A client signed in with the good configuration."""
    client = sandbox.open()
    yield Bench(sandbox, client)
    await client.aclose()
