"""AWS's refusals and silences, by what to do about them."""

from __future__ import annotations

import pytest
from botocore import exceptions as aws

from connectors.aws.errors import translate
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


def refused(code: str, status: int = 400, headers: dict[str, str] | None = None) -> aws.ClientError:
    meta = {"HTTPStatusCode": status, "RequestId": "r-1", "HTTPHeaders": headers or {}}
    return aws.ClientError(
        {"Error": {"Code": code, "Message": f"about {code}"}, "ResponseMetadata": meta}, "RunInstances"
    )


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("RequestLimitExceeded", 503, Throttled),
        ("Throttling", 400, Throttled),
        ("Whatever", 429, Throttled),
        ("AuthFailure", 401, AuthFailed),
        ("SignatureDoesNotMatch", 403, AuthFailed),
        ("InvalidClientTokenId", 403, AuthFailed),
        ("UnauthorizedOperation", 403, AuthFailed),
        ("AccessDenied", 403, AuthFailed),
        ("InsufficientInstanceCapacity", 500, Retryable),
        ("ServiceUnavailable", 503, Retryable),
        ("InvalidInstanceID.NotFound", 400, NotFound),
        ("InvalidAMIID.NotFound", 400, NotFound),
        ("NoSuchEntity", 404, NotFound),
        ("IncorrectInstanceState", 400, Conflict),
        ("InvalidKeyPair.Duplicate", 400, Conflict),
        ("IdempotentParameterMismatch", 400, Conflict),
        ("InvalidInstanceID.Malformed", 400, Rejected),
        ("VcpuLimitExceeded", 400, Rejected),
        ("OperationNotPermitted", 400, Rejected),
        ("NeverHeardOf", 400, Rejected),
    ],
)
@pytest.mark.parametrize("write", [True, False])
def test_a_refusal_is_the_same_for_reads_and_writes(
    code: str, status: int, expected: type[ConnectorError], write: bool
) -> None:
    error = translate(refused(code, status), "run_instances", write=write)
    assert type(error) is expected
    assert error.details["aws_code"] == code
    assert error.details["request_id"] == "r-1"
    assert f"about {code}" in error.message


def test_a_failure_inside_aws_leaves_a_write_in_doubt_and_a_read_to_be_repeated() -> None:
    assert type(translate(refused("InternalError", 500), "x", write=True)) is OutcomeUnknown
    assert type(translate(refused("InternalError", 500), "x", write=False)) is Retryable


@pytest.mark.parametrize(
    "error",
    [
        aws.ReadTimeoutError(endpoint_url="https://x"),
        aws.ConnectionClosedError(endpoint_url="https://x"),
        aws.ResponseStreamingError(error="cut"),
    ],
)
def test_silence_after_sending_leaves_a_write_in_doubt(error: Exception) -> None:
    assert type(translate(error, "x", write=True)) is OutcomeUnknown
    assert type(translate(error, "x", write=False)) is Retryable


@pytest.mark.parametrize(
    "error",
    [
        aws.EndpointConnectionError(endpoint_url="https://x"),
        aws.ConnectTimeoutError(endpoint_url="https://x"),
        aws.SSLError(endpoint_url="https://x", error="bad"),
    ],
)
def test_what_was_never_sent_can_be_tried_again(error: Exception) -> None:
    assert type(translate(error, "x", write=True)) is Retryable


@pytest.mark.parametrize(
    ("code", "field"),
    [
        ("InvalidAMIID.NotFound", "image"),
        ("InvalidInstanceType", "instance_type"),
        ("InvalidSubnetID.NotFound", "subnet_id"),
        ("InvalidGroup.NotFound", "security_group_ids"),
        ("InvalidKeyPair.NotFound", "key_name"),
        ("InvalidInstanceID.NotFound", "instance"),
        ("TagLimitExceeded", "tags"),
        ("VcpuLimitExceeded", None),
    ],
)
def test_the_parameter_at_fault_is_named(code: str, field: str | None) -> None:
    assert translate(refused(code), "x", write=True).field == field


@pytest.mark.parametrize(("given", "expected"), [("7", 7.0), ("soon", 5.0), ("", 5.0)])
def test_how_long_to_wait(given: str, expected: float) -> None:
    error = translate(refused("Throttling", 400, {"retry-after": given}), "x", write=False)
    assert isinstance(error, Throttled)
    assert error.retry_after == expected


def test_a_missing_permission_is_told_from_wrong_credentials_without_the_encoded_reason() -> None:
    response = refused("UnauthorizedOperation", 403).response
    response["Error"]["Message"] = "You may not. Encoded authorization failure message: abc123=="
    error = translate(aws.ClientError(response, "x"), "x", write=True)
    assert error.code == "missing_permission"
    assert "abc123" not in error.message
    assert translate(refused("AuthFailure"), "x", write=True).code == "auth_failed"


@pytest.mark.parametrize(
    ("code", "field"),
    [
        ("InvalidClientTokenId", "access_key_id"),
        ("SignatureDoesNotMatch", "secret_access_key"),
        ("AuthFailure", None),
    ],
)
def test_a_refused_sign_in_names_what_to_mend_where_aws_says_it(code: str, field: str | None) -> None:
    assert translate(refused(code, 403), "get_caller_identity", write=False).field == field
