"""The Microsoft 365 simulator for tests that act through the services."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from app.core.settings import get_settings
from connectors.m365.simulator.app import Simulator
from connectors.m365.simulator.seed import demo_fixture
from connectors.m365.simulator.starter import running, warm


@dataclass
class M365:
    """A running simulator with the demonstration's tenants, and the settings of a connection to each."""

    simulator: Simulator

    def config(self, slug: str) -> dict[str, Any]:
        found = self.simulator.seed(demo_fixture(slug), {"client_id": str(uuid4()), "client_secret": "canary-" + slug})
        return {name: found[name] for name in ("tenant_id", "client_id", "client_secret")}


@contextmanager
def m365() -> Iterator[M365]:
    """Leads every connection of this process to a simulator for as long as the block lasts."""
    warm()
    with running() as simulator:
        simulator.simulator.seed_demo()
        endpoints = get_settings().endpoints
        endpoints["m365"] = simulator.endpoints
        try:
            yield M365(simulator.simulator)
        finally:
            del endpoints["m365"]
