"""What a mail server answers, said again by its remedy. The one place that knows its numbers."""

from __future__ import annotations

import ssl

import aiosmtplib

from connectors.errors import AuthFailed, ConnectorError, OutcomeUnknown, Rejected, Retryable, Throttled
from connectors.hiding import Veil

# A server that says "later" (greylisting, a full queue) seldom means seconds.
LATER_S = 60.0
BUSY = (421, 450, 451, 452, 454)
SIGN_IN = (530, 534, 535, 538)
SENDER, RECIPIENT, CONTENT = "sender", "to", "content"


def reached(error: Exception, host: str, veil: Veil) -> ConnectorError:
    """The server was not reached, or not with the encryption that the connection asks for. Nothing was sent."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            message = f"The certificate of {host} was not accepted: {cause.verify_message}."
            return Rejected(message, code="certificate_refused", field="host")
        # aiosmtplib says in its plainest error that the server offers no STARTTLS.
        if isinstance(cause, ssl.SSLError) or type(cause) is aiosmtplib.SMTPException:
            return Rejected(f"{host} does not speak TLS as asked.", code="no_encryption", field="security")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return answered(error, f"{host} took no connection", None, veil)
    details = {"error": type(error).__name__}
    return Retryable(f"The mail server {host} could not be reached; nothing was sent.", details=details)


def answered(error: aiosmtplib.SMTPResponseException, what: str, place: str | None, veil: Veil) -> ConnectorError:
    """The server said no: ``what`` it was asked, and ``place`` the part of the message that it speaks of.

    Some servers repeat the line that they did not like, which may have held the password.
    """
    said = veil.text(str(error.message))
    details = {"status": error.code, "answer": said[:300]}
    message = f"{what}: {error.code} {said[:200]}"
    if error.code in BUSY:
        return Throttled(message, retry_after=LATER_S, details=details)
    if error.code in SIGN_IN:
        return AuthFailed(message, details=details)
    if place == SENDER:
        return AuthFailed(message, code="sender_refused", details=details)
    if place == RECIPIENT:
        return Rejected(message, code="recipient_refused", field="to", details=details)
    return Rejected(message, details=details)


def lost(what: str, error: BaseException, message_id: str) -> OutcomeUnknown:
    """The message was handed over and no word came back."""
    return OutcomeUnknown(
        f"{what} was sent and the server's answer was lost. Its Message-ID is {message_id}.",
        details={"message_id": message_id, "error": type(error).__name__},
    )
