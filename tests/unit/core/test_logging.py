"""What a log line holds, and what it must not hold."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog
from pydantic import SecretStr

from app.core.logging import HIDDEN, bind, configure_logging, get_logger, is_secret, redact, redact_text, unbind

CANARY = "canary-7f3a91"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure_logging("DEBUG", part="worker")
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _last(stream: io.StringIO) -> dict[str, Any]:
    return dict(json.loads(stream.getvalue().splitlines()[-1]))


def test_a_line_is_json_with_its_ids(lines: io.StringIO) -> None:
    client = UUID(int=7)
    bound = bind(client_id=client, run_id=UUID(int=8), step="create")
    get_logger().info("step_done", seconds=1.5)
    unbind(bound)
    first = _last(lines)
    assert first["event"] == "step_done"
    assert (first["client_id"], first["run_id"], first["step"]) == (str(client), str(UUID(int=8)), "create")
    assert (first["level"], first["part"], first["seconds"]) == ("info", "worker", 1.5)
    get_logger().info("after")
    assert "client_id" not in _last(lines)


@pytest.mark.parametrize(
    "fields",
    [
        {"password": CANARY},
        {"client_secret": CANARY},
        {"secret_id": CANARY},
        {"deep": {"list": [{"apiKey": CANARY}]}},
        {"value": SecretStr(CANARY)},
        {"raw": CANARY.encode()},
        {"url": f"postgresql://opsloom:{CANARY}@localhost/x"},
        {"headers": f"Authorization: Bearer {CANARY}"},
        {"pem": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_secrets_are_hidden_wherever_they_stand(lines: io.StringIO, fields: dict[str, Any]) -> None:
    get_logger().info("event", **fields)
    logging.getLogger("other").warning("foreign", extra=dict(fields))
    assert CANARY not in lines.getvalue()
    assert lines.getvalue().count(HIDDEN) == 2


def test_a_traceback_hides_them_too(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"no route to redis://:{CANARY}@localhost")
    except ValueError:
        get_logger().exception("failed")
    assert CANARY not in lines.getvalue()
    assert "no route to" in _last(lines)["exception"]


@pytest.mark.parametrize("key", ["password", "new_password", "totp_secret", "access_token", "otp", "Authorization"])
def test_names_that_are_hidden(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize("key", ["token_id", "token_type", "event", "credential_path", "session_count", "compass"])
def test_names_that_are_not(key: str) -> None:
    assert not is_secret(key)


def test_harmless_text_is_left_alone() -> None:
    text = "GET https://graph.example/v1.0/users?$top=5 took 3 ms"
    assert redact_text(text) == text
    assert redact({"a": [1, None, True]}) == {"a": [1, None, True]}
