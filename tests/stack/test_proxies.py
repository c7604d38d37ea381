"""Sign-in back-off and the audit trail see the address that a trusted proxy names, and no other."""

from __future__ import annotations

from ipaddress import ip_network

import httpx
import psycopg
import pytest

from app.api import proxies
from app.services.auth import attempts
from tests.servers import TestStack
from tests.stack.people import World

pytestmark = pytest.mark.usefixtures("calm")
LOOPBACK = [ip_network("127.0.0.0/8")]


@pytest.fixture
def behind_proxy(web: TestStack, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = web.settings.model_copy(update={"trusted_proxies": LOOPBACK})
    monkeypatch.setattr(proxies, "get_settings", lambda: chosen)


async def guess(http: httpx.AsyncClient, email: str, sender: str) -> int:
    body = {"email": email, "password": "not the right one", "otp": "000000"}
    return (await http.post("/api/v1/auth/token", json=body, headers={"X-Forwarded-For": sender})).status_code


def audited(stack: TestStack, email: str) -> list[str]:
    """The addresses of failed sign-ins with that name."""
    with psycopg.connect(stack.superuser_dsn) as link:
        query = "SELECT DISTINCT ip FROM audit_events WHERE actor = %s AND outcome <> 'success'"
        return [row[0] for row in link.execute(query, [email]).fetchall()]


async def test_the_sender_behind_a_proxy_is_seen(
    behind_proxy: None, web: TestStack, world: World, http: httpx.AsyncClient
) -> None:
    email = world.staff["viewer"].email
    assert await guess(http, email, "198.51.100.66, 203.0.113.9") == 401
    assert audited(web, email) == ["203.0.113.9"]


async def test_nobody_slows_down_others_who_share_the_proxy(
    behind_proxy: None, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FAILURES_OF_ADDRESS", 3)
    for number in range(3):
        assert await guess(http, f"nobody-{number}@msp.example", "203.0.113.9") == 401
    assert await guess(http, "nobody-3@msp.example", "203.0.113.9") == 429
    assert await guess(http, "nobody-3@msp.example", "203.0.113.10") == 401


async def test_without_a_trusted_proxy_the_header_says_nothing(
    web: TestStack, world: World, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = world.staff["approver"].email
    assert await guess(http, email, "203.0.113.9") == 401
    assert audited(web, email) == ["127.0.0.1"]
    monkeypatch.setattr(attempts, "FAILURES_OF_ADDRESS", 2)
    assert await guess(http, "nobody-1@msp.example", "203.0.113.9") == 401
    assert await guess(http, "nobody-2@msp.example", "203.0.113.10") == 429, "another header is no other address"
