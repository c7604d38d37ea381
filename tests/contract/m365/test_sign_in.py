"""Signing in: what goes wrong with it, and how the connector comes back."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from connectors.base import Environment
from connectors.errors import AuthFailed, Retryable, Throttled
from connectors.m365.connector import M365
from connectors.m365.simulator.app import Simulator
from connectors.m365.simulator.starter import Running
from tests.contract.m365.conftest import ANNA, Office, config_for, open_client


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"client_secret": "not-the-secret"}, "client_secret"),
        ({"client_id": "99999999-9999-4999-8999-999999999999"}, "client_id"),
        ({"tenant_id": "nowhere.example"}, "tenant_id"),
    ],
)
async def test_wrong_credentials_name_the_field(
    m365_running: Running, simulator: Simulator, wrong: dict[str, str], field: str
) -> None:
    client = open_client(m365_running, config_for(simulator, "contoso", **wrong))
    with pytest.raises(AuthFailed) as refused:
        await M365().test(client)
    assert refused.value.field == field
    assert "not-the-secret" not in str(refused.value.as_json())
    await client.aclose()


async def test_the_report_names_the_tenant(office: Office) -> None:
    report = await M365().test(office.client)
    assert report.tenant == office.running.simulator.tenant("contoso").id
    assert report.tenant_name == "Contoso Ltd"
    assert report.missing == ()


async def test_one_sign_in_serves_many_calls(office: Office) -> None:
    await asyncio.gather(*(office.read("m365.licence.list") for _ in range(5)))
    assert [one["operation"] for one in office.control.log()].count("POST token") == 1


async def test_a_token_that_has_ended_is_renewed(office: Office) -> None:
    await office.read("m365.user.get", user=ANNA)
    office.running.simulator._key = b"another"
    office.running.simulator.tokens._key = b"another"
    assert (await office.read("m365.user.get", user=ANNA)).display_name == "Anna Berg"
    done = await office.do("m365.user.disable", user=ANNA)
    assert done.change.after == {"account_enabled": False}


async def test_an_application_that_was_removed_stays_out(office: Office) -> None:
    await office.read("m365.user.get", user=ANNA)
    office.running.simulator.tenant("contoso").apps.clear()
    with pytest.raises(AuthFailed):
        await office.read("m365.user.get", user=ANNA)


async def test_entra_asks_for_fewer_sign_ins(office: Office) -> None:
    office.control.fault("throttle", times=None, operation="POST token", retry_after=11)
    with pytest.raises(Throttled) as throttled:
        await office.read("m365.user.get", user=ANNA)
    assert throttled.value.retry_after == 11
    office.control.clear_faults()
    assert await office.read("m365.user.get", user=ANNA)


async def test_entra_does_not_answer(office: Office) -> None:
    office.control.fault("drop", times=None, operation="POST token", when="before")
    with pytest.raises(Retryable):
        await office.plan("m365.user.disable", user=ANNA)
    assert office.control.writes() == []


async def test_nobody_is_there(m365_running: Running, simulator: Simulator) -> None:
    config = config_for(simulator, "contoso")
    endpoints = {**m365_running.endpoints, "graph": "https://localhost:9/v1.0"}
    client = M365().open(uuid4(), config, Environment(endpoints=endpoints))
    with pytest.raises(Retryable, match="nothing was sent"):
        await client.get("read organization", lambda graph: graph.organization)
    await client.aclose()
