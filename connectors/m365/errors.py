"""What Graph and Entra answer, said again by its remedy. The one place that knows their error codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.errors import (
    AuthFailed,
    Conflict,
    ConnectorError,
    NotFound,
    OutcomeUnknown,
    Rejected,
    Retryable,
    Throttled,
)

DEFAULT_RETRY_AFTER = 5.0
MAX_RETRY_AFTER = 3600.0

# Graph's property at fault, and the parameter of ours that speaks of it.
FIELDS = {
    "userPrincipalName": "user_principal_name",
    "mailNickname": "mail_nickname",
    "displayName": "display_name",
    "givenName": "given_name",
    "surname": "surname",
    "jobTitle": "job_title",
    "department": "department",
    "companyName": "company_name",
    "officeLocation": "office_location",
    "mobilePhone": "mobile_phone",
    "employeeId": "employee_id",
    "usageLocation": "usage_location",
    "preferredLanguage": "preferred_language",
    "city": "city",
    "country": "country",
    "password": "password",
}

# Refusals that Graph tells apart only by their words: ours are codes, with the parameter they speak of.
REASONS = (
    ("does not have any available licenses", "no_seat", "licences"),
    ("invalid usage location", "no_usage_location", "user"),
    ("does not have a corresponding license", "not_held", "licences"),
    ("inherited from a group", "inherited", "licences"),
    ("references already exist", "already_member", "groups"),
    ("on-premises mastered", "mastered_elsewhere", "user"),
    ("domain portion", "unknown_domain", "user_principal_name"),
    ("password complexity", "weak_password", "password"),
)

# Entra's numbers for a sign-in that the connection's own values explain, with the field to mend.
SIGN_IN_FIELDS = {
    90002: "tenant_id",
    900023: "tenant_id",
    700016: "client_id",
    7000215: "client_secret",
    7000216: "client_secret",
    7000222: "client_secret",
}
PASSING_SIGN_IN = {90033, 90055, 50196, 90006, 90024}


def refusal(status: int, headers: Mapping[str, str], body: Any, operation: str, *, write: bool) -> ConnectorError:
    """Graph's answer ``body`` with a status of 400 or more, as one of ours."""
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    code, message = str(error.get("code") or "Unknown"), str(error.get("message") or f"HTTP status {status}")
    details = {
        "operation": operation,
        "status": status,
        "graph_code": code,
        "request_id": headers.get("request-id") or (error.get("innerError") or {}).get("request-id"),
    }
    if status == 429:
        wait = retry_after(headers)
        return Throttled("Microsoft Graph asks for fewer requests.", retry_after=wait, details=details)
    if status == 401:
        return AuthFailed(f"Microsoft Graph refused the sign-in: {message}", details=details)
    if status == 403:
        return AuthFailed(f"Microsoft Graph denied {operation}: {message}", code="missing_permission", details=details)
    if status == 503:
        return Retryable(f"Microsoft Graph cannot do this just now: {message}", details=details)
    if status >= 500 and status != 501:
        unclear = f"Microsoft Graph failed during {operation}: {message}"
        return OutcomeUnknown(unclear, details=details) if write else Retryable(unclear, details=details)
    return _complaint(status, message, error, details)


def _complaint(status: int, message: str, error: Mapping[str, Any], details: dict[str, Any]) -> ConnectorError:
    """A 4xx answer: something in the request, or in the way."""
    field, reason = _field(error, message)
    if status == 404:
        return NotFound(message, details=details)
    if status in (409, 412) or reason == "ObjectConflict":
        return Conflict(message, field=field, details=details)
    for words, code, about in REASONS:
        if words in message:
            return Rejected(message, field=about, code=code, details=details)
    return Rejected(message, field=field, details=details)


def _field(error: Mapping[str, Any], message: str) -> tuple[str | None, str]:
    """The parameter at fault, out of the details or the message, and Graph's inner code."""
    for detail in error.get("details") or ():
        return FIELDS.get(str(detail.get("target"))), str(detail.get("code"))
    named = re.search(r"propert(?:y|ies) '?([A-Za-z]+)'?", message)
    return (FIELDS.get(named.group(1)) if named else None), ""


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the answer asks us to wait."""
    raw = headers.get("retry-after", "")
    return min(float(raw), MAX_RETRY_AFTER) if re.fullmatch(r"[0-9]{1,6}", raw) else DEFAULT_RETRY_AFTER


def lost(error: Exception, operation: str, *, write: bool, sent: bool) -> ConnectorError:
    """No answer came. ``sent`` says whether the request may have reached Graph."""
    details = {"operation": operation, "error": type(error).__name__}
    if not sent:
        return Retryable("Microsoft Graph could not be reached; nothing was sent.", details=details)
    if write:
        return OutcomeUnknown(f"{operation} was sent to Microsoft Graph and no answer came.", details=details)
    return Retryable(f"Microsoft Graph did not answer {operation}.", details=details)


def sign_in_refused(message: str, status: int | None, headers: Mapping[str, str]) -> ConnectorError:
    """Entra's answer to a sign-in. Signing in changes nothing, so a passing fault is safe to repeat."""
    found = re.search(r"AADSTS(\d+)", message)
    number = int(found.group(1)) if found else 0
    details = {"operation": "sign in", "status": status, "entra_code": f"AADSTS{number}" if number else None}
    if status == 429:
        return Throttled("Entra ID asks for fewer sign-ins.", retry_after=retry_after(headers), details=details)
    if number in PASSING_SIGN_IN or (status or 0) >= 500:
        return Retryable("Entra ID cannot sign in anybody just now.", details=details)
    return AuthFailed(
        f"Entra ID refused the sign-in: {_first_sentence(message)}", field=SIGN_IN_FIELDS.get(number), details=details
    )


def _first_sentence(message: str) -> str:
    """Entra's reason without its trace ids, which change at every try."""
    return re.split(r"\s+Trace ID:", message.removeprefix("Authentication failed: "))[0].strip()
