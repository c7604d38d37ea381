"""The two sides of an exchange as plain values: what came in and what goes out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

Json = dict[str, Any]


class BadJson(ValueError):
    """The body is not a JSON object."""


@dataclass(frozen=True)
class Request:
    """One HTTP request.

    ``path`` is as sent (percent-encoded); ``base`` is scheme and host as the caller named them; ``gone`` waits until
    the caller has closed the connection.
    """

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    base: str
    gone: Callable[[], Awaitable[Any]] | None = None

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's parts, each decoded on its own, so that an encoded slash stays inside its part."""
        return tuple(unquote(part) for part in self.path.split("/") if part)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    def json(self) -> Json:
        """The body as a JSON object; an empty body is an empty object. Raises :class:`BadJson`."""
        if not self.body:
            return {}
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise BadJson(str(error)) from error
        if not isinstance(value, dict):
            raise BadJson("not an object")
        return value

    def form(self) -> dict[str, str]:
        """The body as a posted form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass
class Answer:
    """One HTTP answer. ``body`` is JSON, or None for no content."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        return b"" if self.body is None else json.dumps(self.body, ensure_ascii=False).encode()
