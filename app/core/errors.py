"""Errors that a caller can act on. Pages, API and command line render the same object in their own way.

``code`` selects the sentence in the reader's language (``error.<code>`` in the catalogue); ``params`` fill it in.
``problems`` name each field, row or node at fault.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where.

    Exactly the places that apply are set: ``field`` is a dotted path, ``node`` a node's id, ``row`` a 1-based row of a
    table (the header is not counted), ``edge`` the ids ``source->target``. ``message`` is English; ``code`` and
    ``params`` let a page say it in the reader's language.
    """

    code: str
    message: str
    field: str | None = None
    node: str | None = None
    row: int | None = None
    edge: str | None = None
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    severity: str = "error"

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value not in (None, {})}


class OpsloomError(Exception):
    """Base of every error that is the caller's to mend. ``status`` is its HTTP status."""

    status = 400
    code = "bad_request"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        problems: Sequence[Problem] = (),
        params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.problems = tuple(problems)
        self.params = dict(params or {})

    def as_problem(self) -> dict[str, Any]:
        """The error as problem+json (RFC 9457)."""
        return {
            "type": f"urn:opsloom:error:{self.code}",
            "title": self.message,
            "status": self.status,
            "code": self.code,
            "params": self.params,
            "errors": [problem.as_json() for problem in self.problems],
        }


class Invalid(OpsloomError):
    """What was sent is wrong; ``problems`` say where."""

    status = 422
    code = "invalid"


class NotSignedIn(OpsloomError):
    """There is no valid session or token."""

    status = 401
    code = "not_signed_in"

    def __init__(self, message: str = "Sign in first.", **kwargs: Any) -> None:
        super().__init__(message, **kwargs)


class Forbidden(OpsloomError):
    """The actor's role does not allow it."""

    status = 403
    code = "forbidden"

    def __init__(self, permission: str, **kwargs: Any) -> None:
        super().__init__(f"Your role here does not include {permission}.", params={"permission": permission}, **kwargs)


class Missing(OpsloomError):
    """There is no such thing, or it belongs to another client: the answer is the same."""

    status = 404
    code = "not_found"

    def __init__(self, what: str, **kwargs: Any) -> None:
        super().__init__(f"There is no such {what} here.", params={"what": what}, **kwargs)


class Stale(OpsloomError):
    """Someone else changed it first, or the seal is not the one that was seen."""

    status = 409
    code = "stale"


class TooMany(OpsloomError):
    """Too many requests; ``params['retry_after']`` is in seconds."""

    status = 429
    code = "too_many"


class Unavailable(OpsloomError):
    """A part of the stack does not answer."""

    status = 503
    code = "unavailable"
