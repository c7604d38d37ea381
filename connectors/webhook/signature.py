"""How a message is signed. docs/how-to/receive-webhooks.md shows how a receiver checks it."""

from __future__ import annotations

import hashlib
import hmac

ID, TIMESTAMP, SIGNATURE, EVENT = "Opsloom-Id", "Opsloom-Timestamp", "Opsloom-Signature", "Opsloom-Event"
VERSION = "v1"


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The signature over the moment (Unix seconds), a dot, and the body as it is sent."""
    signed = str(timestamp).encode("ascii") + b"." + body
    return f"{VERSION}={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def verify(secret: str, timestamp: int, body: bytes, signature: str) -> bool:
    """Whether ``signature`` is the one of this message."""
    return hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.encode("utf-8", "replace"))
