"""Answers of Graph and Entra, and the remedy each of them means."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

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
from connectors.m365.errors import lost, refusal, retry_after, sign_in_refused


def said(status: int, code: str = "X", message: str = "words", *, write: bool = False, **more: Any) -> ConnectorError:
    body = {"error": {"code": code, "message": message, **more}}
    return refusal(status, {"request-id": "r1", "retry-after": "7"}, body, "update user", write=write)


@pytest.mark.parametrize(
    ("status", "write", "kind"),
    [
        (400, True, Rejected),
        (401, True, AuthFailed),
        (403, True, AuthFailed),
        (404, True, NotFound),
        (409, True, Conflict),
        (412, True, Conflict),
        (429, True, Throttled),
        (500, False, Retryable),
        (500, True, OutcomeUnknown),
        (501, True, Rejected),
        (502, True, OutcomeUnknown),
        (503, True, Retryable),
        (504, False, Retryable),
        (504, True, OutcomeUnknown),
    ],
)
def test_a_status_means_a_remedy(status: int, write: bool, kind: type[ConnectorError]) -> None:
    error = said(status, write=write)
    assert type(error) is kind
    assert error.details["request_id"] == "r1"
    assert error.details["status"] == status


def test_throttling_carries_the_wait() -> None:
    error = said(429)
    assert isinstance(error, Throttled)
    assert error.retry_after == 7


@pytest.mark.parametrize(("raw", "seconds"), [("12", 12.0), ("", 5.0), ("soon", 5.0), ("999999", 3600.0)])
def test_waits_are_bounded(raw: str, seconds: float) -> None:
    assert retry_after({"retry-after": raw}) == seconds


@pytest.mark.parametrize(
    ("message", "code", "field"),
    [
        ("Subscription with SKU 1 does not have any available licenses.", "no_seat", "licences"),
        ("License assignment cannot be done for user with invalid usage location.", "no_usage_location", "user"),
        ("One or more added object references already exist for ...", "already_member", "groups"),
        ("Invalid value specified for property 'jobTitle' of resource 'User'.", "rejected", "job_title"),
        ("Something else.", "rejected", None),
    ],
)
def test_refusals_name_the_parameter(message: str, code: str, field: str | None) -> None:
    error = said(400, "Request_BadRequest", message)
    assert (error.code, error.field) == (code, field)


def test_a_name_that_is_taken_is_a_conflict() -> None:
    detail = {"code": "ObjectConflict", "target": "userPrincipalName", "message": "taken"}
    error = said(400, "Request_BadRequest", "taken", details=[detail])
    assert isinstance(error, Conflict)
    assert error.field == "user_principal_name"


@pytest.mark.parametrize("body", [{}, {"error": "text"}, [], None])
def test_an_answer_that_is_not_graphs(body: Any) -> None:
    error = refusal(400, {}, body, "read user", write=False)
    assert isinstance(error, Rejected)
    assert error.message


@pytest.mark.parametrize(
    ("write", "sent", "kind"),
    [(True, True, OutcomeUnknown), (False, True, Retryable), (True, False, Retryable), (False, False, Retryable)],
)
def test_no_answer(write: bool, sent: bool, kind: type[ConnectorError]) -> None:
    assert type(lost(httpx.ReadTimeout("x"), "update user", write=write, sent=sent)) is kind


@pytest.mark.parametrize(
    ("message", "status", "kind", "field"),
    [
        ("AADSTS7000215: Invalid client secret. Trace ID: 1", 401, AuthFailed, "client_secret"),
        ("AADSTS700016: Application not found. Trace ID: 1", 400, AuthFailed, "client_id"),
        ("AADSTS90002: Tenant not found.", 400, AuthFailed, "tenant_id"),
        ("AADSTS90033: transient", 400, Retryable, None),
        ("anything", 503, Retryable, None),
        ("anything", 429, Throttled, None),
        ("anything", None, AuthFailed, None),
    ],
)
def test_a_refused_sign_in(message: str, status: int | None, kind: type[ConnectorError], field: str | None) -> None:
    error = sign_in_refused(message, status, {})
    assert type(error) is kind
    assert error.field == field
    assert "Trace ID" not in error.message
