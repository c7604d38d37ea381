"""Graph asks for fewer requests: the deployment is told at once, also where the client waits and asks again itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.errors import Throttled
from connectors.m365.simulator.app import Simulator
from connectors.m365.simulator.starter import Running
from connectors.testing import SimulatorControl
from tests.contract.m365.conftest import ANNA, LIAM, Office, config_for, open_client

GROUPS = ["Engineering", "Finance"]


@pytest.fixture
def told() -> list[float]:
    """For how many seconds the deployment was told to leave the tenant alone."""
    return []


@pytest.fixture
async def heard(
    m365_running: Running, simulator: Simulator, control: SimulatorControl, told: list[float]
) -> AsyncIterator[Office]:
    """Contoso, by a client whose deployment listens."""
    client = open_client(m365_running, config_for(simulator, "contoso"), throttled=told.append)
    yield Office(client, control, m365_running, "contoso")
    await client.aclose()


async def test_a_read_that_is_repeated(heard: Office, told: list[float]) -> None:
    heard.control.fault("throttle", writes=False, retry_after=1)
    await heard.read("m365.user.get", user=ANNA)
    assert told == [1]


async def test_a_look_after_a_write(heard: Office, told: list[float]) -> None:
    change = (await heard.plan("m365.user.disable", user=ANNA)).change
    heard.control.fault("delay", writes=True, seconds=0.5)
    heard.control.fault("throttle", writes=False, times=None, every=2, retry_after=1)
    await heard.apply("m365.user.disable", change, user=ANNA)
    refused = [record for record in heard.control.log() if "throttle" in record["faults"]]
    assert len(told) == len(refused) >= 1


async def test_between_several_writes(heard: Office, told: list[float]) -> None:
    change = (await heard.plan("m365.group.add_member", user=LIAM, groups=GROUPS)).change
    heard.control.fault("throttle", writes=True, every=2, retry_after=1)
    await heard.apply("m365.group.add_member", change, user=LIAM, groups=GROUPS)
    assert told == [1]


async def test_a_sign_in(heard: Office, told: list[float]) -> None:
    change = (await heard.plan("m365.user.disable", user=ANNA)).change
    await heard.client.sign_in.forget()
    heard.control.fault("throttle", operation="POST token", retry_after=11)
    with pytest.raises(Throttled):
        await heard.apply("m365.user.disable", change, user=ANNA)
    assert told == [11]
