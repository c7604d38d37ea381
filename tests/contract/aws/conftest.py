"""The AWS sandbox, reset, and a bench on it, without a platform to name."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.testing import Bench, Sandbox


@pytest.fixture
def sandbox(sandboxes: dict[str, Sandbox]) -> Sandbox:
    found = sandboxes["aws"]
    found.reset()
    return found


@pytest.fixture
async def bench(sandbox: Sandbox) -> AsyncIterator[Bench]:
    client = sandbox.open()
    yield Bench(sandbox, client)
    await client.aclose()
