"""A simulator of its own for these tests, fresh tenants in it for each, and a client that has an uneasy time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from connectors.base import Applied, Change, Done, Environment, Json, Planned, World, WriteAction
from connectors.m365.actions import ACTIONS
from connectors.m365.client import M365Client
from connectors.m365.config import M365Config
from connectors.m365.connector import M365
from connectors.m365.simulator.app import Simulator
from connectors.m365.simulator.starter import Running, running, warm
from connectors.testing import SimulatorControl, new_attempt

APPS = {
    "contoso": {"client_id": "11111111-1111-4111-8111-111111111111", "client_secret": "secret-of-contoso-in-tests"},
    "fabrikam": {"client_id": "22222222-2222-4222-8222-222222222222", "client_secret": "secret-of-fabrikam-in-tests"},
}
ANNA, LIAM, GRACE = "anna.berg@contoso.com", "liam.o'connor@contoso.com", "grace.okafor@contoso.com"


@dataclass
class Office:
    """One tenant as an engineer has it at hand: a client, and short ways to do things with it."""

    client: M365Client
    control: SimulatorControl
    running: Running
    slug: str

    def action(self, action_id: str) -> WriteAction[Any, Any]:
        return next(kind() for kind in ACTIONS if kind.id == action_id)  # type: ignore[return-value]

    async def read(self, action_id: str, **params: Any) -> Any:
        action: Any = self.action(action_id)
        return await action.read(self.client, action.Params(**params))

    async def plan(self, action_id: str, world: World | None = None, /, **params: Any) -> Planned:
        action = self.action(action_id)
        return await action.plan(self.client, action.Params(**params), world or World())

    async def apply(self, action_id: str, change: Change, /, *, key: str | None = None, **params: Any) -> Applied:
        action = self.action(action_id)
        return await action.apply(self.client, action.Params(**params), change, new_attempt(action, key=key))

    async def do(self, action_id: str, /, **params: Any) -> Done:
        """Plan and apply, as a run without incident does."""
        planned = await self.plan(action_id, **params)
        applied = await self.apply(action_id, planned.change, **params)
        return Done(params, applied.change, applied.output)

    async def undo(self, action_id: str, done: Done) -> Applied:
        action = self.action(action_id)
        planned = await action.plan_undo(self.client, done)
        assert planned.drift is None
        return await action.undo(self.client, done, planned.change, new_attempt(action))

    def dump(self, *, whole: bool = False) -> Json:
        return self.running.simulator.dump(self.slug, whole=whole)

    def users(self) -> dict[str, Json]:
        """Users by principal name, as they are."""
        return {user["userPrincipalName"]: user for user in self.dump()["users"].values()}


@pytest.fixture(scope="session")
def m365_running() -> Iterator[Running]:
    warm()
    with running() as found:
        yield found


@pytest.fixture
def simulator(m365_running: Running) -> Simulator:
    """The simulator with the demonstration's tenants as they are at first."""
    m365_running.simulator.reset()
    m365_running.simulator.seed_demo(APPS, replace=True)
    return m365_running.simulator


@pytest.fixture
def control(m365_running: Running, simulator: Simulator) -> SimulatorControl:
    return SimulatorControl(m365_running.plain_url)


def config_for(simulator: Simulator, slug: str, **given: str) -> M365Config:
    values = {"tenant_id": simulator.tenant(slug).id, **APPS[slug], **given}
    return M365Config(**{**values, "client_secret": SecretStr(values["client_secret"])})


def open_client(found: Running, config: M365Config, **more: Any) -> M365Client:
    return M365().open(uuid4(), config, Environment(endpoints=found.endpoints, **more))


@pytest.fixture
async def office(m365_running: Running, simulator: Simulator, control: SimulatorControl) -> AsyncIterator[Office]:
    """Contoso, where all goes well."""
    client = open_client(m365_running, config_for(simulator, "contoso"))
    yield Office(client, control, m365_running, "contoso")
    await client.aclose()


@pytest.fixture
def stormy(office: Office) -> Office:
    """Contoso with pages of two, now and then a read throttled and reads that lag behind writes."""
    office.running.simulator.configure({"page_limit": 2})
    office.control.fault("throttle", times=None, every=11, writes=False, retry_after=1)
    office.control.fault("delay", times=None, writes=True, seconds=0.6)
    return office
