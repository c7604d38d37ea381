"""The private networks that a deployment opens reach the connectors, and nothing else opens any."""

from __future__ import annotations

import socket

import pytest
from pydantic import ValidationError

from app.core.settings import Settings
from app.services.connections import platform
from connectors.net import AddressRefused, Guard


async def inside(host: str, port: int) -> list[str]:
    return ["10.20.0.5"]


@pytest.mark.parametrize("name", ["http", "mail", "webhook"])
async def test_what_the_setting_opens_is_open(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSLOOM_PRIVATE_NETWORKS", '["10.20.0.0/16", "fd12::/32"]')
    monkeypatch.setattr(platform, "get_settings", Settings)
    assert platform.environment_of(name).networks == ("10.20.0.0/16", "fd12::/32")
    assert await Guard(platform.environment_of(name).networks, inside).addresses("intranet.example", 443)


async def test_by_default_nothing_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPSLOOM_PRIVATE_NETWORKS", raising=False)
    monkeypatch.setattr(platform, "get_settings", Settings)
    assert platform.environment_of("http").networks == ()
    with pytest.raises(AddressRefused):
        await Guard(platform.environment_of("http").networks, inside).addresses("intranet.example", 443)


@pytest.mark.parametrize("wrong", ['["10.20.0.1/16"]', '["intranet"]', '"10.0.0.0/8"', '["10.0.0.0/33"]'])
def test_a_wrong_network_stops_the_command(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSLOOM_PRIVATE_NETWORKS", wrong)
    with pytest.raises(ValidationError, match="private_networks"):
        Settings()


async def test_the_machineʼs_own_resolver_is_asked_and_judged() -> None:
    """localhost is a name that every machine knows; it leads inside."""
    try:
        socket.getaddrinfo("localhost", 80)
    except OSError:
        pytest.skip("this machine does not know localhost")
    with pytest.raises(AddressRefused):
        await Guard(("0.0.0.0/0", "::/0")).addresses("localhost", 80)
