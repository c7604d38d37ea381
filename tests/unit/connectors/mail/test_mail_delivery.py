"""Handing a message over: encryption that must be there, all recipients or none, answers that get lost."""

from __future__ import annotations

import base64
import socketserver
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import aiosmtplib
import pytest
from pydantic import SecretStr

from connectors.base import Environment
from connectors.errors import AuthFailed, OutcomeUnknown, Rejected, Retryable, Throttled
from connectors.m365.simulator.tls import ensure_certificate, server_context
from connectors.mail.actions.message_send import SendMessage
from connectors.mail.client import MailClient
from connectors.mail.config import MailConfig
from connectors.mail.simulator.app import Post, Simulator
from connectors.mail.testing import PASSWORD, SENDER, TENANT
from connectors.net import AddressRefused
from connectors.testing import new_attempt
from connectors.webhost import running
from tests.unit.connectors.test_net import Names

TO = "anna@sandbox.example"


@contextmanager
def post(tls: ssl.SSLContext | None = None) -> Iterator[tuple[Simulator, int]]:
    """A mail server with one tenant, and its port."""
    simulator = Simulator()
    simulator.seed(TENANT)
    with running(Post(simulator, "127.0.0.1", 0, tls)) as (port,):
        yield simulator, port


def client(port: int, *, scheme: str = "smtp", ca_file: Path | None = None, **config: Any) -> MailClient:
    given = {"host": "localhost", "username": SENDER, "password": SecretStr(PASSWORD), "sender": SENDER, **config}
    endpoints = {given["host"]: f"{scheme}://127.0.0.1:{port}"}
    if ca_file:
        endpoints["ca_file"] = str(ca_file)
    return MailClient(uuid4(), MailConfig(**given), Environment(endpoints=endpoints))


async def send(found: MailClient, *, seconds: float = 60, **params: Any) -> Any:
    action = SendMessage()
    typed = action.Params(**{"to": [TO], "subject": "Bonjour", "text": "x", **params})
    planned = await action.plan(found, typed, None)  # type: ignore[arg-type]
    return await action.apply(found, typed, planned.change, new_attempt(action, seconds=seconds))


def messages(simulator: Simulator) -> list[Any]:
    return simulator.tenants["sandbox"]["messages"]


async def test_starttls_is_used_and_the_certificate_checked(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path)
    with post(server_context(certificate, key)) as (simulator, port):
        await send(client(port, scheme="as-set", ca_file=certificate))
        assert len(messages(simulator)) == 1
        with pytest.raises(Rejected) as untrusted:
            await send(client(port, scheme="as-set"))
        with pytest.raises(Rejected) as misnamed:
            await send(client(port, scheme="as-set", ca_file=certificate, host="mail.sandbox.example"))
    assert {untrusted.value.code, misnamed.value.code} == {"certificate_refused"}


async def test_without_the_encryption_that_was_asked_for_no_password_is_sent() -> None:
    with post() as (simulator, port):
        for security in ("starttls", "tls"):
            with pytest.raises(Rejected) as refused:
                await send(client(port, scheme="as-set", security=security))
            assert refused.value.code == "no_encryption"
        assert simulator.journal.read() == []


async def test_all_recipients_get_it_or_none() -> None:
    with post() as (simulator, port):
        with pytest.raises(Rejected) as refused:
            await send(client(port), to=[TO, "x@elsewhere.example"])
        assert (refused.value.code, refused.value.field) == ("recipient_refused", "to")
        assert "x@elsewhere.example" in refused.value.message
        assert messages(simulator) == []


async def test_a_dot_alone_does_not_end_a_message() -> None:
    text = "one\n.\nMAIL FROM:<evil@sandbox.example>\r\n.\r\n..two"
    with post() as (simulator, port):
        await send(client(port), text=text)
        (message,) = messages(simulator)
    assert message["text"].rstrip("\n") == text.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("fault", "expected", "kept"),
    [
        ({"kind": "throttle"}, Throttled, 0),
        ({"kind": "error", "status": 503}, Retryable, 0),
        ({"kind": "error", "status": 400}, Rejected, 0),
        ({"kind": "drop", "when": "before"}, OutcomeUnknown, 0),
        ({"kind": "drop", "when": "after"}, OutcomeUnknown, 1),
        ({"kind": "timeout", "when": "after", "seconds": 60}, OutcomeUnknown, 1),
    ],
)
async def test_an_answer_to_a_message_by_its_remedy(fault: Any, expected: type[Exception], kept: int) -> None:
    with post() as (simulator, port):
        simulator.faults.add(writes=True, **fault)
        with pytest.raises(expected) as refused:
            await send(client(port), seconds=7)
        simulator.faults.remove()
        assert type(refused.value) in (expected, Throttled)
        assert len(messages(simulator)) == kept


async def test_a_deadline_that_is_near_sends_nothing() -> None:
    with post() as (simulator, port):
        with pytest.raises(Retryable, match="nothing was sent"):
            await send(client(port), seconds=3)
        assert messages(simulator) == []


async def test_a_server_that_is_away_was_sent_nothing() -> None:
    with post() as (_, port):
        pass
    with pytest.raises(Retryable, match="nothing was sent"):
        await send(client(port))


async def test_a_sender_that_is_not_ours_is_a_matter_of_the_connection() -> None:
    with post() as (_, port):
        with pytest.raises(AuthFailed) as refused:
            await send(client(port, sender="boss@sandbox.example"))
        assert refused.value.code == "sender_refused"


async def test_a_name_that_leads_inside_is_not_connected_to() -> None:
    """The server runs at this very port of loopback, and is not reached."""
    with post() as (simulator, port):
        config = MailConfig(host="mail.evil.example", port=port, security="none", sender=SENDER)
        for address in ("127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1"):
            found = MailClient(uuid4(), config, Environment(), resolver=Names(["93.184.215.14", address]))
            with pytest.raises(AddressRefused):
                await send(found)
        assert simulator.journal.read() == []


async def test_a_host_called_like_a_setting_is_a_host() -> None:
    with post() as (simulator, port):
        config = MailConfig(host="ca_file", port=port, security="none", sender=SENDER)
        environment = Environment(endpoints={"ca_file": "/etc/ssl/ca.pem", "localhost": f"smtp://127.0.0.1:{port}"})
        with pytest.raises(AddressRefused):
            await send(MailClient(uuid4(), config, environment, resolver=Names(["127.0.0.1"])))
        assert simulator.journal.read() == []


async def test_a_server_may_take_its_time_over_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, data = [], aiosmtplib.SMTP.data

    async def noted(self: aiosmtplib.SMTP, *args: Any, timeout: float, **more: Any) -> Any:  # noqa: ASYNC109
        waits.append(timeout)
        return await data(self, *args, timeout=timeout, **more)

    monkeypatch.setattr(aiosmtplib.SMTP, "data", noted)
    with post() as (_, port):
        await send(client(port), seconds=600)
    assert 590 < waits[0] <= 600


@contextmanager
def parrot(greeting: bytes = b"250-here\r\n250 AUTH LOGIN PLAIN") -> Iterator[int]:
    """The port of a server that says what it was told, in letters of its own country, and takes nothing."""

    class Parrot(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            for line in self.rfile:
                if line.upper().startswith(b"EHLO"):
                    self.wfile.write(greeting + b"\r\n")
                else:
                    self.wfile.write(b"500 refus\xe9: " + b"x" * 170 + line.strip() + b"\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Parrot) as server:
        server.daemon_threads = True  # whoever is connected still leaves only when our loop turns again
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("ways", ["PLAIN", "LOGIN"])
async def test_a_server_that_repeats_the_password_does_not_show_it(ways: str) -> None:
    """Neither the password nor a spelling of it, nor the beginning of one where the answer is cut short."""
    with parrot(f"250-here\r\n250 AUTH {ways}".encode()) as port, pytest.raises(AuthFailed) as refused:
        await client(port).check(())
    shown = str(refused.value.as_json())
    plain = base64.b64encode(f"\0{SENDER}\0{PASSWORD}".encode()).decode()
    for spelling in (PASSWORD, plain, plain[:24], base64.b64encode(PASSWORD.encode()).decode()):
        assert spelling not in shown
    assert "refus" in shown
