"""Opening and testing a connection."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import uuid4

import pytest
from pydantic import ValidationError

from connectors.errors import AuthFailed, Rejected
from connectors.registry import CONNECTORS
from connectors.testing import Bench, Sandbox

PLATFORMS = pytest.mark.parametrize("platform", CONNECTORS)

# Connectors whose address a client chooses, and their configuration leading to another host.
LED = {
    "http": lambda config, host, port: config.model_copy(update={"hosts": [f"http://{host}:{port}"]}),
    "webhook": lambda config, host, port: config.model_copy(update={"address": f"https://{host}:{port}/opsloom"}),
    "mail": lambda config, host, port: config.model_copy(update={"host": host, "port": port}),
}


@PLATFORMS
async def test_a_client_belongs_to_one_client_of_the_msp(platform: str, sandbox: Sandbox) -> None:
    client_id = uuid4()
    client = sandbox.open(client_id=client_id)
    assert client.client_id == client_id
    assert sandbox.control.log() == [], "opening is cheap: nothing is asked yet"
    await client.aclose()


@PLATFORMS
async def test_testing_a_connection_lists_what_it_may(platform: str, bench: Bench) -> None:
    before = bench.sandbox.control.dump()
    report = await bench.sandbox.connector.test(bench.client)
    wanted = {name for kind in bench.sandbox.connector.actions for name in kind.permissions}
    assert report.tenant
    assert report.tenant_name
    assert wanted <= set(report.granted)
    assert report.missing == ()
    assert bench.sandbox.control.writes() == []
    assert bench.sandbox.control.dump() == before


@PLATFORMS
async def test_testing_a_connection_lists_what_it_lacks(platform: str, sandbox: Sandbox) -> None:
    if sandbox.poor_config is None:
        pytest.skip("the platform knows no permissions")
    client = sandbox.open(sandbox.poor_config)
    report = await sandbox.connector.test(client)
    wanted = {name for kind in sandbox.connector.actions for name in kind.permissions}
    assert report.missing
    assert set(report.missing) <= wanted
    assert wanted - set(report.missing) <= set(report.granted)
    await client.aclose()


@PLATFORMS
async def test_wrong_credentials_fail_the_test(platform: str, sandbox: Sandbox) -> None:
    client = sandbox.open(sandbox.wrong_config)
    with pytest.raises(AuthFailed):
        await sandbox.connector.test(client)
    await client.aclose()


@PLATFORMS
def test_a_configuration_shows_no_secret(platform: str, sandbox: Sandbox) -> None:
    shown = repr(sandbox.config) + str(sandbox.config) + sandbox.config.model_dump_json()
    for name in sandbox.connector.secret_fields():
        secret = getattr(sandbox.config, name).get_secret_value()
        assert secret
        assert secret not in shown


@PLATFORMS
def test_a_configuration_names_no_address(platform: str, sandbox: Sandbox) -> None:
    """Where a vendor's credentials are sent is the deployment's to say, never a connection's."""
    config, named = sandbox.config, sandbox.connector.address_fields
    given = {**json.loads(config.model_dump_json()), "endpoint": "https://elsewhere.example"}
    for name in sandbox.connector.secret_fields():
        given[name] = getattr(config, name).get_secret_value()
    with pytest.raises(ValidationError):
        type(config).model_validate(given)
    assert not any("url" in name or "endpoint" in name for name in type(config).model_fields)
    assert set(named) <= set(type(config).model_fields)
    assert bool(named) == (platform in LED)
    # What a client may change so that a stored secret would go elsewhere is known.
    assert bool(sandbox.connector.destinations(config)) == bool(named)


INSIDE = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "[::1]", "[fd00:ec2::254]", "[::ffff:127.0.0.1]"]


@pytest.mark.parametrize("platform", LED)
@pytest.mark.parametrize("host", INSIDE)
async def test_an_address_that_a_client_chooses_does_not_lead_inside(
    host: str, platform: str, sandbox: Sandbox
) -> None:
    """Neither to the simulator's own port nor to any other: only the deployment may say otherwise."""
    port = sandbox.control.url.rpartition(":")[2]
    config = LED[platform](sandbox.config, host, int(port))
    client = sandbox.connector.open(uuid4(), config, replace(sandbox.environment, endpoints={}))
    with pytest.raises(Rejected) as refused:
        await sandbox.connector.test(client)
    await client.aclose()
    assert refused.value.code == "address_refused"
    assert sandbox.control.log() == []


@PLATFORMS
async def test_every_call_is_observed(platform: str, sandbox: Sandbox) -> None:
    seen: list[tuple[str, str, float, str]] = []
    environment = sandbox.environment
    watched = type(environment)(environment.endpoints, environment.now, lambda *call: seen.append(call))
    client = sandbox.connector.open(uuid4(), sandbox.config, watched)
    await sandbox.connector.test(client)
    await client.aclose()
    assert seen
    assert all(call[0] == platform and call[1] and call[2] >= 0 and call[3] for call in seen)
