"""A web API for the contract suite: tickets, a token that may read and write, a connection that only reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from connectors.base import Environment, Json
from connectors.http.config import HttpConfig
from connectors.http.connector import Http
from connectors.testing import Sample, Sandbox, SimulatorControl

HOST = "api.sandbox.example"
TOKEN = "token-for-the-simulator-only"  # noqa: S105 - signs in to nothing else
TENANT: Json = {
    "slug": "sandbox",
    "host": HOST,
    "sign_in": "bearer",
    "secret": TOKEN,
    "tickets": {"1": {"id": 1, "title": "L'imprimante", "state": "open"}},
    "keys": {},
}
SAMPLES = {
    "http.request.get": Sample(
        {"url": f"https://{HOST}/tickets", "query": {"state": "open & new"}}, missing={"url": f"https://{HOST}/nothing"}
    ),
    "http.request.send": Sample(
        {"url": f"https://{HOST}/tickets", "data": {"title": "Écran d'Anna"}},
        rejected={"url": "https://elsewhere.example/tickets", "data": {"title": "x"}},
        settles=False,
        asks=False,
        traceable=False,
    ),
}


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A simulator in a thread of this process, for as long as the block lasts."""
    from connectors.http.simulator.app import Simulator
    from connectors.webhost import hosting, running

    seed = {"tenants": [TENANT]}
    with running(hosting(Simulator())) as (port,):
        url = f"http://127.0.0.1:{port}"
        config = HttpConfig(hosts=[HOST], sign_in="bearer", secret=SecretStr(TOKEN))
        yield Sandbox(
            connector=Http(),
            environment=Environment(endpoints={HOST: url}),
            control=SimulatorControl(url),
            config=config,
            wrong_config=config.model_copy(update={"secret": SecretStr("not-the-secret-of-anybody")}),
            poor_config=config.model_copy(update={"read_only": True}),
            samples=SAMPLES,
            seed=seed,
        )
