"""Structured logs: one JSON object a line, with the client, run and step they belong to, and no secret."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, TextIO
from uuid import UUID

import structlog
from pydantic import SecretBytes, SecretStr

HIDDEN = "[hidden]"
_SECRET_KEY = re.compile(
    r"password|passwd|passphrase|(^|_)pass$|secret|token|credential|authorization|cookie|private_?key|api_?key"
    r"|otp|recovery_code|seed",
    re.IGNORECASE,
)
# Names that contain such a word and yet name something harmless; a vault's secret_id is the secret itself.
_HARMLESS_KEY = re.compile(r"(?<!secret)(_id|_ids|_type|_count|_path|_file|_name|_at|_s)$", re.IGNORECASE)
_URL_PASSWORD = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^\s:/@]*):(?P<password>[^\s/@]+)@", re.IGNORECASE
)
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)
# Every text that one of the three above finds something in has one of these.
_SUSPICIOUS = re.compile(r"://|-----BEGIN |bearer|basic", re.IGNORECASE)
_MAX_DEPTH = 6
_HIDDEN_TYPES = (SecretStr, SecretBytes, bytes, bytearray)
_LISTS = (list, tuple, set, frozenset)


def bind(
    *, client_id: UUID | None = None, run_id: UUID | None = None, step: str | None = None, **more: Any
) -> Mapping[str, Any]:
    """Put these on every line that this task (and what it starts) logs. Give the result to :func:`unbind`."""
    named = {"client_id": client_id, "run_id": run_id, "step": step, **more}
    found = {key: str(value) for key, value in named.items() if value is not None}
    return structlog.contextvars.bind_contextvars(**found)


def unbind(tokens: Mapping[str, Any]) -> None:
    """Put back what :func:`bind` replaced."""
    structlog.contextvars.reset_contextvars(**tokens)


def redact_text(text: str) -> str:
    """``text`` without the passwords of addresses, authorization headers and private keys."""
    if not _SUSPICIOUS.search(text):
        return text  # nearly every text, at a third of the cost
    without_passwords = _URL_PASSWORD.sub(rf"\g<scheme>\g<user>:{HIDDEN}@", _PEM.sub(HIDDEN, text))
    return _BEARER.sub(rf"\1 {HIDDEN}", without_passwords)


def redact(value: Any, depth: int = 0) -> Any:
    """``value`` as it may be logged: secret-looking keys and secret types are hidden at any depth."""
    if isinstance(value, str):
        return redact_text(value)
    if depth >= _MAX_DEPTH or isinstance(value, _HIDDEN_TYPES):
        return HIDDEN
    if isinstance(value, Mapping):
        return {
            (name := str(key)): HIDDEN if is_secret(name) else redact(item, depth + 1) for key, item in value.items()
        }
    if isinstance(value, _LISTS):
        return [redact(item, depth + 1) for item in value]
    return value


@lru_cache(maxsize=4096)
def is_secret(key: str) -> bool:
    """Whether a field of this name must not be logged."""
    return bool(_SECRET_KEY.search(key)) and not _HARMLESS_KEY.search(key)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


_encode = json.JSONEncoder(default=_plain, ensure_ascii=False).encode


def _line(event: Mapping[str, Any], part: str) -> str:
    # Redaction comes after the traceback became text, so that a password inside an exception is hidden too.
    return _encode(redact({**event, "part": part} if part else event))


def json_formatter(part: str = "") -> structlog.stdlib.ProcessorFormatter:
    """Makes a line of JSON of whatever is logged; also for the logging configuration file of a server."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_shared(), structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            lambda _logger, _method, event: _line(event, part),
        ],
    )


def _shared() -> list[Any]:
    """What is added to a line, whoever logs it."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]


class _Lines(logging.StreamHandler[TextIO]):
    """Writes everybody's lines to stderr."""

    def __init__(self, part: str) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(json_formatter(part))
        self._part = part

    def write(self, event: Mapping[str, Any]) -> None:
        """Write what structlog has gathered."""
        line = _line(event, self._part) + self.terminator
        self.acquire()
        try:
            self.stream.write(line)
            self.flush()
        finally:
            self.release()


def _write(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write our own lines without a record of the standard library, which costs more than all the rest. It is made
    where another handler than ours is to hear of them, and where they cannot be written: it knows what to do then."""
    handlers = logging.root.handlers
    if len(handlers) == 1 and isinstance(handlers[0], _Lines):
        try:
            handlers[0].write(event)
        except Exception:
            return event
        raise structlog.DropEvent
    return event


def configure_logging(level: str = "INFO", *, part: str = "") -> None:
    """Send structlog's and the standard library's logs to stderr as JSON. ``part`` names the process (``worker``)."""
    root = logging.getLogger()
    root.handlers[:] = [_Lines(part)]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "azure", "botocore", "urllib3", "msal", "rq.worker"):
        logging.getLogger(noisy).setLevel(max(logging.getLevelName(level), logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            _write,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str = "opsloom") -> structlog.stdlib.BoundLogger:
    """A logger whose lines are ``log.info("run_started", runs=3)``: an event name and fields, no sentences."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
