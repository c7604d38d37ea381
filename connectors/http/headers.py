"""Headers that a person may set, and those of an answer that later steps may see."""

from __future__ import annotations

import re
from collections.abc import Mapping

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
VALUE = re.compile(r"[\x20-\x7e\x80-\xff]{0,4000}")
# Set by the connector itself, or meant for one connection only.
OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect"}
    | {"accept-encoding", "proxy-authorization", "proxy-connection", "idempotency-key"}
)
# Credentials belong in the connection's secret, which is kept in the vault.
CREDENTIALS = frozenset({"authorization", "cookie"})
SHOWN = (
    *("content-type", "content-language", "last-modified", "etag", "location", "link", "retry-after", "allow"),
    *("x-request-id", "x-correlation-id", "x-total-count", "x-next-page", "x-ratelimit-remaining", "ratelimit"),
)


def checked(headers: Mapping[str, str]) -> dict[str, str]:
    """``headers`` as they may be sent. Raises ValueError naming the first that may not; its value is not repeated."""
    for name, value in headers.items():
        if not TOKEN.fullmatch(name):
            raise ValueError(f"{name[:50]!r} is no name of a header")
        if name.lower() in OURS:
            raise ValueError(f"{name} is set by the step itself")
        if name.lower() in CREDENTIALS:
            raise ValueError(f"{name} holds a credential: choose the way to sign in instead")
        if not VALUE.fullmatch(value) or value != value.strip():
            raise ValueError(f"the value of {name} has signs that a header cannot hold")
    return dict(headers)


def shown(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer that say something to a later step. None of them holds a credential."""
    return {name: headers[name] for name in SHOWN if name in headers}
