"""TLS to a real server: the certificate must name the host that was asked, whatever address it was reached at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from connectors.base import Environment
from connectors.errors import Rejected
from connectors.http.actions.request_get import GetRequest
from connectors.http.client import HttpClient
from connectors.http.config import HttpConfig
from connectors.http.simulator.app import Simulator
from connectors.http.testing import TENANT, TOKEN
from connectors.httpd import Server
from connectors.m365.simulator.tls import ensure_certificate, server_context
from connectors.webhost import running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, int, Path]]:
    """The API over TLS, with a certificate for localhost that is its own authority."""
    certificate, key = ensure_certificate(tmp_path_factory.mktemp("tls"))
    simulator = Simulator()
    for host in ("localhost", "api.sandbox.example"):
        simulator.seed({**TENANT, "slug": host, "host": host})
    with running(Server(simulator, "127.0.0.1", 0, server_context(certificate, key))) as (port,):
        yield simulator, port, certificate


async def ask(host: str, port: int, ca_file: Path | None) -> int:
    endpoints = {host: f"https://127.0.0.1:{port}"} | ({"ca_file": str(ca_file)} if ca_file else {})
    config = HttpConfig(hosts=[host], sign_in="bearer", secret=SecretStr(TOKEN))
    client = HttpClient(uuid4(), config, Environment(endpoints=endpoints))
    try:
        action = GetRequest()
        return (await action.read(client, action.Params(url=f"https://{host}/tickets"))).status
    finally:
        await client.aclose()


async def test_a_certificate_that_names_the_host_is_accepted(served: tuple[Simulator, int, Path]) -> None:
    _, port, certificate = served
    assert await ask("localhost", port, certificate) == 200


async def test_a_certificate_of_another_name_or_of_nobody_we_trust_is_not(served: tuple[Simulator, int, Path]) -> None:
    simulator, port, certificate = served
    asked = len(simulator.journal.read())
    for host, trusted in (("api.sandbox.example", certificate), ("localhost", None)):
        with pytest.raises(Rejected) as refused:
            await ask(host, port, trusted)
        assert refused.value.code == "certificate_refused"
    assert len(simulator.journal.read()) == asked, "no credential was sent"
