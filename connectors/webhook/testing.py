"""A receiver of webhooks for the contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from connectors.base import Environment, Json
from connectors.testing import Sample, Sandbox, SimulatorControl
from connectors.webhook.config import WebhookConfig
from connectors.webhook.connector import Webhook

HOST = "hooks.sandbox.example"
SECRET = "secret-for-the-simulator-only"  # noqa: S105 - signs in to nothing else
TENANT: Json = {"slug": "sandbox", "host": HOST, "secret": SECRET, "messages": []}
SAMPLES = {
    "webhook.message.send": Sample(
        {"event": "employee.joined", "data": {"name": "Renée d'Arcy", "n": [1, None]}},
        rejected={"event": "employee.joined", "data": {"text": "x" * 600_000}},
        settles=False,
        asks=False,
        traceable=False,
    ),
}


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A simulator in a thread of this process, for as long as the block lasts."""
    from connectors.webhook.simulator.app import Simulator
    from connectors.webhost import hosting, running

    with running(hosting(Simulator())) as (port,):
        url = f"http://127.0.0.1:{port}"
        config = WebhookConfig(address=f"https://{HOST}/opsloom", secret=SecretStr(SECRET))
        yield Sandbox(
            connector=Webhook(),
            environment=Environment(endpoints={HOST: url}),
            control=SimulatorControl(url),
            config=config,
            wrong_config=config.model_copy(update={"secret": SecretStr("not-the-secret-of-anybody")}),
            samples=SAMPLES,
            seed={"tenants": [TENANT]},
        )
