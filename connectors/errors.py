"""What went wrong on a platform, named by what to do about it.

A connector's client catches its vendor's exceptions once and raises one of these. The engine decides by the class
alone; the message is for the engineer who reads the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ConnectorError(Exception):
    """A platform did not do what was asked.

    ``code`` is stable and machine-readable, ``field`` names the parameter at fault where one is, ``details`` holds the
    vendor's own words (request id, error code) and never a secret.
    """

    code = "connector_error"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        field: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.field = field
        self.details = dict(details or {})

    def as_json(self) -> dict[str, Any]:
        """The error as a run stores and shows it."""
        return {
            "remedy": type(self).__name__,
            "code": self.code,
            "message": self.message,
            "field": self.field,
            "details": self.details,
        }


class Retryable(ConnectorError):
    """The platform is having a passing fault and did nothing. Wait and try again."""

    code = "platform_unavailable"
    retryable = True


class Throttled(Retryable):
    """The platform asks us to slow down. Wait ``retry_after`` seconds, then try again."""

    code = "throttled"

    def __init__(self, message: str, *, retry_after: float, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.retry_after = retry_after


class AuthFailed(ConnectorError):
    """The credentials were refused or lack a permission. Mend the connection, then retry the step."""

    code = "auth_failed"


class NotFound(ConnectorError):
    """What the step speaks of is not there. Correct the parameter or create it first."""

    code = "not_found"


class Conflict(ConnectorError):
    """Something in the way already has that name or state. Choose another or remove it."""

    code = "conflict"


class Rejected(ConnectorError):
    """The platform understood and said no (invalid value, no seat left, policy). Correct what the message names."""

    code = "rejected"


class OutcomeUnknown(ConnectorError):
    """A write was sent and its answer never came. Nothing is retried; look at the platform and say what happened."""

    code = "outcome_unknown"
