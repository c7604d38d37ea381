"""Signed messages: what is signed, that the documented check accepts it and nothing else, where they go."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr, ValidationError

from connectors.base import Environment
from connectors.errors import AuthFailed, NotFound, OutcomeUnknown
from connectors.testing import Sandbox, new_attempt, sandbox_of
from connectors.web import Web
from connectors.webhook.actions.message_send import SendMessage
from connectors.webhook.client import WebhookClient
from connectors.webhook.config import WebhookConfig
from connectors.webhook.signature import sign, verify
from connectors.webhook.testing import TENANT

DOCS = Path(__file__).parents[4] / "docs" / "how-to" / "receive-webhooks.md"
SECRET = "a-secret-of-more-than-24-signs"
BODY = '{"id":"1","event":"a","data":{"é":1}}'.encode()


def snippet(language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[0]  # type: ignore[no-any-return]


def documented() -> Callable[[str, dict[str, str], bytes], bool]:
    """The check as the documentation tells receivers to write it."""
    names: dict[str, Any] = {}
    exec(snippet("python"), names)
    return names["is_from_opsloom"]  # type: ignore[no-any-return]


def headers(timestamp: int, signature: str) -> dict[str, str]:
    return {"Opsloom-Timestamp": str(timestamp), "Opsloom-Signature": signature}


def test_the_documented_check_accepts_what_is_sent() -> None:
    now = int(time.time())
    assert documented()(SECRET, headers(now, sign(SECRET, now, BODY)), BODY)


@pytest.mark.parametrize(
    ("secret", "moved", "body", "cut"),
    [
        ("another-secret-of-24-signs", 0, BODY, ""),
        (SECRET, 1, BODY, ""),
        (SECRET, -3600, BODY, ""),
        (SECRET, 0, BODY + b" ", ""),
        (SECRET, 0, BODY, "v1="),
    ],
)
def test_both_checks_refuse_what_was_not_signed_so(secret: str, moved: int, body: bytes, cut: str) -> None:
    now = int(time.time())
    signature = sign(SECRET, now, BODY).removeprefix(cut)
    assert not documented()(secret, headers(now + moved, signature), body)
    assert not verify(secret, now + moved, body, signature)


def test_an_old_message_is_refused_although_its_signature_is_right() -> None:
    old = int(time.time()) - 3600
    assert verify(SECRET, old, BODY, sign(SECRET, old, BODY))
    assert not documented()(SECRET, headers(old, sign(SECRET, old, BODY)), BODY)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_the_documented_command_gives_the_signature(tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(BODY)
    environment = {"timestamp": "1795377600", "secret": SECRET, "PATH": "/usr/bin:/bin:/usr/local/bin"}
    done = subprocess.run(["sh", "-c", snippet("sh")], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert "v1=" + done.stdout.decode().split()[0] == sign(SECRET, 1795377600, BODY)


@pytest.fixture(scope="module")
def receiver() -> Any:
    with sandbox_of("webhook") as found:
        yield found


async def send(receiver: Sandbox, *, attempt: Any = None, now: datetime | None = None, **config: Any) -> Any:
    given = receiver.config.model_copy(update=config)
    environment = Environment(receiver.environment.endpoints, now=(lambda: now) if now else None)
    client = WebhookClient(uuid4(), given, environment)  # type: ignore[arg-type]
    action = SendMessage()
    typed = action.Params(event="employee.joined", data={"name": "Renée"})
    planned = await action.plan(client, typed, None)  # type: ignore[arg-type]
    try:
        return await action.apply(client, typed, planned.change, attempt or new_attempt(action))
    finally:
        await client.aclose()


async def test_a_message_says_what_it_is(receiver: Sandbox) -> None:
    receiver.reset()
    attempt = new_attempt(SendMessage())
    applied = await send(receiver, attempt=attempt)
    assert applied.output == {"message_id": attempt.key, "status": 204}
    (message,) = receiver.control.dump("sandbox")["messages"]
    assert message == {"id": attempt.key, "event": "employee.joined", "data": {"name": "Renée"}}


async def test_a_clock_that_is_wrong_is_told_from_success(receiver: Sandbox) -> None:
    receiver.reset()
    with pytest.raises(AuthFailed):
        await send(receiver, now=datetime(2020, 1, 1, tzinfo=UTC))
    assert receiver.control.dump("sandbox")["messages"] == []


async def test_where_the_receiver_drops_what_it_has_seen_the_same_message_is_sent_again(receiver: Sandbox) -> None:
    """As the engine does: the answer is lost, there is nothing to look at, the same key is sent once more."""
    receiver.control.reset()
    receiver.control.seed({"tenants": [{**TENANT, "deduplicates": True}]})
    attempt, action = new_attempt(SendMessage()), SendMessage()
    receiver.control.fault("drop", writes=True)
    config = receiver.config.model_copy(update={"deduplicates": True})
    client = WebhookClient(uuid4(), config, receiver.environment)  # type: ignore[arg-type]
    typed = action.Params(event="employee.joined")
    planned = await action.plan(client, typed, None)  # type: ignore[arg-type]
    with pytest.raises(OutcomeUnknown):
        await action.apply(client, typed, planned.change, attempt)
    assert await action.recover(client, typed, planned.change, attempt) is None
    await action.apply(client, typed, planned.change, attempt)
    await client.aclose()
    assert len(receiver.control.writes()) == 2
    assert [one["id"] for one in receiver.control.dump("sandbox")["messages"]] == [attempt.key]


async def test_another_path_is_not_found(receiver: Sandbox) -> None:
    receiver.reset()
    with pytest.raises(NotFound):
        await send(receiver, address="https://hooks.sandbox.example/elsewhere")


async def test_a_receiver_that_repeats_the_secret_does_not_show_it(receiver: Sandbox) -> None:
    receiver.reset()
    secret = receiver.config.secret.get_secret_value()  # type: ignore[attr-defined]
    receiver.control.fault("error", writes=True, status=400, code=f"bad {secret}")
    with pytest.raises(Exception) as refused:
        await send(receiver)
    assert "bad [secret]" in json.dumps(refused.value.as_json())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "given",
    [
        {"address": "http://hooks.example.com/"},
        {"address": "hooks.example.com"},
        {"address": "https://user:pass@hooks.example.com/"},
        {"address": "https://2130706433/"},
        {"secret": SecretStr("short")},
        {"secret": SecretStr("")},
        {"url": "https://hooks.example.com/"},
    ],
)
def test_a_wrong_setting_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WebhookConfig(**{"address": "https://hooks.example.com/", "secret": SecretStr(SECRET), **given})


@pytest.mark.parametrize("event", ["Employee", "a..b", "a b", "a\nb", "opsloom:x", ""])
def test_a_wrong_event_is_refused(event: str) -> None:
    with pytest.raises(ValidationError):
        SendMessage.Params(event=event)


async def test_an_answer_is_awaited_as_long_as_the_step_may_take(
    receiver: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, make = [], Web.send

    async def noted(self: Web, *args: Any, timeout_s: float, **more: Any) -> Any:
        waits.append(timeout_s)
        return await make(self, *args, timeout_s=timeout_s, **more)

    monkeypatch.setattr(Web, "send", noted)
    receiver.reset()
    await send(receiver, attempt=new_attempt(SendMessage(), seconds=600))
    assert 590 < waits[0] <= 600
