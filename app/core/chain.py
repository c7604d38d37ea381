"""The audit chain: each event's hash covers the one before it, and signed checkpoints say how long the chain was.

A bare chain can be computed anew by whoever edits it, so checkpoints are signed with an Ed25519 key; the public key is
its own name (``key_id``) and goes with every export. Everything here is pure: an export is verified without a server.
docs/audit.md says what can be found and what cannot.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.core import canonical
from app.core.logging import redact
from app.core.storable import storable_text

FORMAT = "opsloom-audit@1"
GENESIS = bytes(32)
_KEY_PREFIX = "ed25519:"
_LARGEST_EXACT = 2**53 - 1
_LISTS = (list, tuple, set, frozenset)


@dataclass(frozen=True)
class Event:
    """One thing that happened. ``details`` is plain JSON without secrets (see :func:`clean`)."""

    client_id: UUID
    seq: int
    at: datetime
    actor_id: UUID | None
    actor: str
    via: str
    ip: str | None
    action: str
    target: str
    outcome: str
    details: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The event as it is hashed and exported."""
        return {
            "client_id": str(self.client_id),
            "seq": self.seq,
            "at": timestamp(self.at),
            "actor_id": None if self.actor_id is None else str(self.actor_id),
            "actor": self.actor,
            "via": self.via,
            "ip": self.ip,
            "action": self.action,
            "target": self.target,
            "outcome": self.outcome,
            "details": self.details,
        }


def timestamp(moment: datetime) -> str:
    """``moment`` in UTC to the microsecond, always of the same length."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def event_hash(body: Mapping[str, Any], prev_hash: bytes) -> bytes:
    """The hash of an event (:meth:`Event.as_json`) that follows the one with ``prev_hash``."""
    linked: dict[str, Any] = {"format": FORMAT, "prev_hash": prev_hash.hex(), "event": dict(body)}
    return hashlib.sha256(canonical.dumps(linked)).digest()


# What comes after the event, up to the hash of the one before.
_REST = canonical.dumps({"format": FORMAT, "prev_hash": ""}).decode()[1:-2]


def pieces(body: Mapping[str, Any]) -> tuple[str, str]:
    """What is hashed of an event whose number and predecessor are not known yet: the text up to the number, and from
    there to the hash of the event before, after which comes the end of a string and of the object."""
    before = {key: value for key, value in body.items() if key < "seq"}
    after = {key: value for key, value in body.items() if key > "seq"}
    head, tail = canonical.dumps(before).decode(), canonical.dumps(after).decode()
    return f'{{"event":{head[:-1]},"seq":', f",{tail[1:]},{_REST}"


def clean(details: Mapping[str, Any]) -> dict[str, Any]:
    """``details`` as JSON that is the same after the database stored it, with everything secret-looking hidden."""
    hidden: Mapping[str, Any] = redact(details)
    return {str(key): _plain(value) for key, value in hidden.items()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) and abs(value) <= _LARGEST_EXACT else str(value)
    if isinstance(value, Mapping):
        return {storable_text(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, _LISTS):
        return [_plain(item) for item in value]
    return timestamp(value) if isinstance(value, datetime) else storable_text(str(value))


@dataclass(frozen=True)
class Checkpoint:
    """A signed statement: at ``at`` the chain of ``client_id`` had ``seq`` events, the last one with ``hash``."""

    client_id: UUID
    seq: int
    hash: bytes
    at: datetime
    key_id: str
    signature: bytes

    def statement(self) -> bytes:
        """What is signed."""
        return statement(
            {"client_id": str(self.client_id), "seq": self.seq, "hash": self.hash.hex(), "at": timestamp(self.at)}
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "client_id": str(self.client_id),
            "seq": self.seq,
            "hash": self.hash.hex(),
            "at": timestamp(self.at),
            "key_id": self.key_id,
            "signature": base64.b64encode(self.signature).decode(),
        }


def statement(body: Mapping[str, Any]) -> bytes:
    """The bytes that are signed for ``body``; ``format`` keeps a signature from meaning anything else."""
    return canonical.dumps({"format": FORMAT, **body})


class Signer:
    """Signs checkpoints and the heads of exports."""

    def __init__(self, pem: bytes) -> None:
        """``pem`` is an Ed25519 private key (PKCS 8). Raises ValueError where it is something else."""
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("The audit signing key is not an Ed25519 key")
        self._key = key
        self.key_id = key_id(key.public_key())

    def sign(self, body: Mapping[str, Any]) -> bytes:
        """The signature over :func:`statement` of ``body``."""
        return self._key.sign(statement(body))

    def checkpoint(self, client_id: UUID, seq: int, head: bytes, at: datetime) -> Checkpoint:
        """A signed checkpoint of a chain that ends in ``head``."""
        unsigned = Checkpoint(client_id, seq, head, at, self.key_id, b"")
        return Checkpoint(client_id, seq, head, at, self.key_id, self._key.sign(unsigned.statement()))


def new_signing_key() -> bytes:
    """A new Ed25519 private key as PEM, for the file that ``audit_signing_key`` names."""
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def key_id(key: Ed25519PublicKey) -> str:
    """The public key written out: whoever has its name can check with it."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return _KEY_PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signature_holds(name: str, signed: bytes, signature: bytes) -> bool:
    """Whether the key called ``name`` made ``signature`` over ``signed``."""
    try:
        _public_key(name).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _public_key(name: str) -> Ed25519PublicKey:
    if not name.startswith(_KEY_PREFIX):
        raise ValueError("not the name of an Ed25519 key")
    text = name.removeprefix(_KEY_PREFIX)
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
