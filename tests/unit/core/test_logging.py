"""What a log line holds, and what it must not hold."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import structlog
from pydantic import SecretStr

from app.core.logging import HIDDEN, bind, configure_logging, get_logger, is_secret, redact, redact_text, unbind

CANARY = "canary-7f3a91"


class _Alone(list[logging.Handler]):
    """Handlers to which pytest cannot add its own while a test runs."""

    def append(self, handler: logging.Handler) -> None: ...


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is written, where nobody but our own handler hears of it."""
    monkeypatch.setattr(logging.getLogger(), "handlers", _Alone())
    yield from _written(monkeypatch)


@pytest.fixture
def lines_beside_others(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is written while pytest listens too."""
    yield from _written(monkeypatch)


def _written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
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


def test_the_level_may_change_at_any_time(lines: io.StringIO) -> None:
    log = get_logger("app.part")
    for level, heard in (("WARNING", 0), ("INFO", 1), ("WARNING", 1)):
        logging.getLogger().setLevel(level)
        log.info("told")
        assert len(lines.getvalue().splitlines()) == heard
    logging.getLogger("app.part").setLevel("INFO")
    log.info("told")
    assert len(lines.getvalue().splitlines()) == 2


def _told(stream: io.StringIO) -> list[str]:
    """The names of the records that were made for a line of ours, whose text is in the stream."""
    factory, made = logging.getLogRecordFactory(), []

    def noting(*args: Any, **named: Any) -> logging.LogRecord:
        made.append(args[0])
        return factory(*args, **named)

    logging.setLogRecordFactory(noting)
    try:
        get_logger("ours").info("told", number=1)
    finally:
        logging.setLogRecordFactory(factory)
    found = _last(stream)
    assert list(found) == ["number", "event", "level", "logger", "timestamp", "part"]
    assert (found["number"], found["event"], found["logger"], found["part"]) == (1, "told", "ours", "worker")
    return [name for name in made if name]  # a formatter's copies have none


def test_a_line_of_ours_needs_no_record(lines: io.StringIO) -> None:
    assert _told(lines) == []


def test_unless_somebody_else_listens(lines_beside_others: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    assert _told(lines_beside_others) == ["ours"]
    assert [record.name for record in caplog.records] == ["ours"]


def test_what_cannot_be_written_troubles_nobody(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    class Untold:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    monkeypatch.setattr("sys.stderr", lines)  # where the standard library says so
    get_logger().info("lost", field=Untold())
    assert "--- Logging error ---" in lines.getvalue()
    get_logger().info("next")
    assert _last(lines)["event"] == "next"


def test_what_is_not_json_is_told_in_words(lines: io.StringIO) -> None:
    moment = datetime(2026, 11, 30, tzinfo=UTC)
    get_logger().info("told", at=moment, client=UUID(int=7), some={3}, by_number={1: "a"}, name="Zoé", none=None)
    found = _last(lines)
    assert (found["at"], found["client"]) == (moment.isoformat(), str(UUID(int=7)))
    assert (found["some"], found["by_number"], found["none"]) == ([3], {"1": "a"}, None)
    assert "Zoé" in lines.getvalue()


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
