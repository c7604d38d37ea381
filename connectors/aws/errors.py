"""What AWS and botocore raise, said again by its remedy. The one place that knows AWS's error codes."""

from __future__ import annotations

import re
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

THROTTLED = {
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "BandwidthLimitExceeded",
    "SlowDown",
    "EC2ThrottledException",
}
SIGN_IN = {
    "AuthFailure",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "Blocked",
    "OptInRequired",
    "PendingVerification",
}
# What of the connection's own values explains a refused sign-in, where AWS says it.
SIGN_IN_FIELDS = {
    "InvalidClientTokenId": "access_key_id",
    "InvalidAccessKeyId": "access_key_id",
    "UnrecognizedClientException": "access_key_id",
    "SignatureDoesNotMatch": "secret_access_key",
}
PERMISSION = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "NotAuthorized"}
CONFLICT = {
    "IncorrectInstanceState",
    "IncorrectState",
    "InvalidState",
    "DependencyViolation",
    "IdempotentParameterMismatch",
    "ResourceAlreadyAssociated",
    "EntityAlreadyExists",
}
# AWS had no room or no service: it says so before it does anything.
PASSING = {"InsufficientInstanceCapacity", "InsufficientHostCapacity", "ServiceUnavailable", "Unavailable"}

# The first words of an error code, and the parameter of ours that they speak of.
FIELDS = {
    "InvalidAMIID": "image",
    "InvalidInstanceType": "instance_type",
    "InvalidSubnet": "subnet_id",
    "InvalidGroup": "security_group_ids",
    "InvalidSecurityGroup": "security_group_ids",
    "InvalidKeyPair": "key_name",
    "InvalidInstanceID": "instance",
    "InvalidTag": "tags",
    "TagLimitExceeded": "tags",
}
DEFAULT_RETRY_AFTER = 5.0


def translate(error: Exception, operation: str, *, write: bool) -> ConnectorError:
    """``error`` of botocore as one of ours. ``write`` says that the call would have changed something."""
    from botocore import exceptions as aws

    if isinstance(error, aws.ClientError):
        return _refusal(error.response, operation, write=write)
    details = {"operation": operation, "error": type(error).__name__}
    if isinstance(error, aws.ParamValidationError):
        return Rejected(f"The request to AWS is not valid: {error}", details=details)
    if isinstance(error, (aws.NoCredentialsError, aws.PartialCredentialsError)):
        return AuthFailed("The connection holds no AWS credentials.", details=details)
    if isinstance(
        error, (aws.EndpointConnectionError, aws.ConnectTimeoutError, aws.ProxyConnectionError, aws.SSLError)
    ):
        return Retryable("AWS could not be reached; nothing was sent.", details=details)
    if write:
        return OutcomeUnknown(f"{operation} was sent to AWS and no answer came.", details=details)
    return Retryable(f"AWS did not answer {operation}.", details=details)


def code_of(error: Exception) -> str:
    """AWS's own code of ``error``, or an empty string."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def throttled_s(response: dict[str, Any], attempt: int) -> float | None:
    """Seconds for which the answer to a call's ``attempt`` (from 1) asks to be left alone; None where it does not.

    Where AWS does not say, it is as long as botocore waits at most before the next attempt.
    """
    meta = response.get("ResponseMetadata", {})
    code = str(response.get("Error", {}).get("Code", ""))
    if code not in THROTTLED and meta.get("HTTPStatusCode") != 429:
        return None
    return _retry_after(meta, default=2.0 ** (attempt - 1))


def _refusal(response: dict[str, Any], operation: str, *, write: bool) -> ConnectorError:
    """The answer says no: by its code, and by its status where the code is not a known one."""
    code = str(response.get("Error", {}).get("Code", "Unknown"))
    message = _plain(str(response.get("Error", {}).get("Message", "")) or code)
    meta = response.get("ResponseMetadata", {})
    status = int(meta.get("HTTPStatusCode", 0))
    details = {"operation": operation, "aws_code": code, "status": status, "request_id": meta.get("RequestId")}
    if code in THROTTLED or status == 429:
        return Throttled(f"AWS asks for fewer requests: {message}", retry_after=_retry_after(meta), details=details)
    if code in SIGN_IN:
        field = SIGN_IN_FIELDS.get(code)
        return AuthFailed(f"AWS refused the credentials: {message}", field=field, details=details)
    if code in PERMISSION or status == 401:
        return AuthFailed(f"AWS denied {operation}: {message}", code="missing_permission", details=details)
    if code in PASSING or status == 503:
        return Retryable(f"AWS cannot do this just now: {message}", details=details)
    if status >= 500:
        unclear = f"AWS failed during {operation}: {message}"
        return OutcomeUnknown(unclear, details=details) if write else Retryable(unclear, details=details)
    return _complaint(code, message, details)


def _complaint(code: str, message: str, details: dict[str, Any]) -> ConnectorError:
    """A 4xx answer: something in the request, or in the way."""
    field = next((field for start, field in FIELDS.items() if code.startswith(start)), None)
    if code.endswith((".NotFound", "NotFound", "NotFoundException")) or code == "NoSuchEntity":
        return NotFound(message, field=field, details=details)
    if code in CONFLICT or code.endswith((".Duplicate", "InUse", "AlreadyExists")):
        return Conflict(message, field=field, details=details)
    return Rejected(message, field=field, details=details)


def _retry_after(meta: dict[str, Any], default: float = DEFAULT_RETRY_AFTER) -> float:
    """Seconds AWS asks for; EC2 seldom says, and then a few seconds refill its bucket."""
    raw = str(meta.get("HTTPHeaders", {}).get("retry-after", ""))
    return float(raw) if re.fullmatch(r"[0-9]{1,4}", raw) else default


def _plain(message: str) -> str:
    """``message`` without the encoded authorization failure, which is long and means nothing to a reader."""
    return re.sub(r"\s*Encoded authorization failure message: \S+", "", message).strip()
