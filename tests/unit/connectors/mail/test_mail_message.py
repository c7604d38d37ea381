"""A message as it is made: nothing that is typed becomes a header, every letter arrives."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from connectors.base import Environment
from connectors.errors import Rejected
from connectors.mail.actions.message_send import SendMessage, message_id_of, message_of
from connectors.mail.client import MailClient
from connectors.mail.config import MailConfig
from connectors.testing import new_attempt

CONFIG = {"host": "mail.example.com", "username": "it", "password": SecretStr("x"), "sender": "it@example.com"}
TO = "anna@example.com"


def client(**config: Any) -> MailClient:
    now = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
    return MailClient(uuid4(), MailConfig(**{**CONFIG, **config}), Environment(now=lambda: now))


def made(found: MailClient | None = None, **params: Any) -> EmailMessage:
    """The message, written and read again as a recipient's program does."""
    typed = SendMessage.Params(**{"to": [TO], "subject": "x", "text": "x", **params})
    raw = message_of(found or client(), typed, "<key@example.com>")
    assert b"\r\n" in raw
    assert b"\n" not in raw.replace(b"\r\n", b"")
    return email.message_from_bytes(raw, policy=email.policy.default)  # type: ignore[return-value]


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_a_message_has_what_a_message_has() -> None:
    found = made(client(sender_name="Équipe IT, Contoso"), cc=["b@example.com"], reply_to="help@example.com")
    assert found["From"].addresses[0].display_name == "Équipe IT, Contoso"
    assert found["From"].addresses[0].addr_spec == "it@example.com"
    assert (found["To"], found["Cc"], found["Reply-To"]) == (TO, "b@example.com", "help@example.com")
    assert found["Message-ID"] == "<key@example.com>"
    assert found["Date"].datetime == datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
    assert found["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize(
    "subject", ["Bienvenue à l’équipe 🎉", "日本語の件名" * 30, "a" * 500, '"Quoted" <x@y.example>', "=?utf-8?q?x?="]
)
def test_a_subject_arrives_as_it_was_typed(subject: str) -> None:
    assert made(subject=subject)["Subject"] == subject.replace("=?utf-8?q?x?=", "x")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=200))
def test_no_subject_becomes_a_header_of_its_own(subject: str) -> None:
    try:
        found = made(subject=subject)
    except ValidationError:
        assert not subject.strip()
        return
    assert {name.lower() for name in found.keys()} == {  # noqa: SIM118 - a message repeats names
        *("from", "to", "subject", "date", "message-id", "auto-submitted"),
        *("content-type", "content-transfer-encoding", "mime-version"),
    }


@pytest.mark.parametrize("sign", ["\r\n", "\n", "\r", "\x00", "\x0b", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("field", ["subject", "to", "cc", "bcc", "reply_to"])
def test_a_line_break_is_refused_wherever_a_header_is_made(field: str, sign: str) -> None:
    injected = f"x{sign}Bcc: evil@example.com" if field == "subject" else f"anna@example.com{sign}Bcc: evil@example.com"
    given = injected if field in ("subject", "reply_to") else [injected]
    with pytest.raises(ValidationError):
        SendMessage.Params(**{"to": [TO], "subject": "x", "text": "x", field: given})


@pytest.mark.parametrize(
    "address",
    [
        "anna",
        "anna@",
        "Anna <anna@example.com>",
        "anna@example.com, bob@example.com",
        "anna@example.com;bob@example.com",
        "<anna@example.com>",
        "anna@exa mple.com",
        "anna@example.com SIZE=1",
        "élodie@example.com",
        "",
    ],
)
def test_what_is_not_one_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        SendMessage.Params(to=[address], subject="x", text="x")


def test_a_domain_may_have_letters_of_any_kind() -> None:
    assert SendMessage.Params(to=["anna@bücher.example"], subject="x", text="x").to == ["anna@xn--bcher-kva.example"]


def test_blind_copies_are_not_in_the_message() -> None:
    typed = SendMessage.Params(to=[TO], bcc=["hidden@example.com", TO], subject="x", text="x")
    assert typed.recipients == [TO, "hidden@example.com"]
    assert b"hidden" not in message_of(client(), typed, "<key@example.com>")


@pytest.mark.parametrize(
    "text", ["Bonjour,\n.\n..\nFrom here\nÀ bientôt", "a" * 5000, "\n\nx\n\n", "é" * 2000, "x\r\ny\rz"]
)
def test_a_text_arrives_as_it_was_typed(text: str) -> None:
    found = made(text=text, html=f"<p>{text}</p>")
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert text_of(found).rstrip("\n") == expected.strip("\n")
    assert text_of(found, "html").rstrip("\n") == f"<p>{expected}</p>"
    assert found.get_content_type() == "multipart/alternative"


def test_the_same_attempt_is_the_same_message() -> None:
    attempt = new_attempt(SendMessage())
    assert message_id_of(client(), attempt) == f"<{attempt.key}@example.com>"
    typed = SendMessage.Params(to=[TO], subject="x", text="x")
    assert message_of(client(), typed, "<a@b>") == message_of(client(), typed, "<a@b>")


def test_an_unpaired_surrogate_is_refused_and_not_a_defect() -> None:
    with pytest.raises((ValidationError, Rejected)):
        made(text="a\ud800b")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"host": "a b"}, "host"),
        ({"host": "127.1"}, "host"),
        ({"port": 0}, "port"),
        ({"security": "none"}, "username"),
        ({"security": "maybe"}, "security"),
        ({"username": ""}, "password"),
        ({"password": SecretStr("")}, "password"),
        ({"sender": "it"}, "sender"),
        ({"sender_name": "a\nBcc: x@example.com"}, "sender_name"),
        ({"endpoint": "smtp://127.0.0.1"}, "endpoint"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        MailConfig(**{**CONFIG, **given})
    assert {one["loc"] for one in refused.value.errors(include_input=False)} == {(named,)}


def test_without_a_password_there_may_be_no_encryption() -> None:
    assert MailConfig(host="mail.example.com", port=25, security="none", sender="it@example.com").username == ""
