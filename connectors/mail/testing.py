"""A mail server for the contract suite: one user who may send, and one who may only sign in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from connectors.base import Environment, Json
from connectors.mail.config import MailConfig
from connectors.mail.connector import Mail
from connectors.testing import Sample, Sandbox, SimulatorControl

HOST = "mail.sandbox.example"
SENDER = "it@sandbox.example"
PASSWORD = "password-for-the-simulator-only"  # noqa: S105 - signs in to nothing else
TENANT: Json = {
    "slug": "sandbox",
    "username": SENDER,
    "password": PASSWORD,
    "others": {"guest@sandbox.example": PASSWORD},
    "senders": [SENDER],
    "domains": ["sandbox.example"],
    "messages": [],
}
SAMPLES = {
    "mail.message.send": Sample(
        {
            "to": ["anna.berg@sandbox.example"],
            "bcc": ["zoe@sandbox.example"],
            "subject": "Bienvenue à l'équipe, Anna ! 🎉",
            "text": "Bonjour,\n.\nVoilà.\nFrom now on…",
            "html": "<p>Bonjour,</p>",
        },
        rejected={"to": ["x@elsewhere.example"], "subject": "x", "text": "x"},
        settles=False,
        traceable=False,
    ),
}


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A simulator in a thread of this process, for as long as the block lasts."""
    from connectors.mail.simulator.app import Post, Simulator
    from connectors.webhost import hosting, running

    simulator = Simulator()
    with running(hosting(simulator), Post(simulator, "127.0.0.1", 0)) as (control, post):
        config = MailConfig(
            host=HOST, username=SENDER, password=SecretStr(PASSWORD), sender=SENDER, sender_name="Équipe IT"
        )
        yield Sandbox(
            connector=Mail(),
            environment=Environment(endpoints={HOST: f"smtp://127.0.0.1:{post}"}),
            control=SimulatorControl(f"http://127.0.0.1:{control}"),
            config=config,
            wrong_config=config.model_copy(update={"password": SecretStr("not-the-secret-of-anybody")}),
            poor_config=config.model_copy(update={"username": "guest@sandbox.example"}),
            samples=SAMPLES,
            seed={"tenants": [TENANT]},
        )
