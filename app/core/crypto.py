"""Ciphers, password hashes and tokens. Everything secret that we make or keep goes through here.

Nothing here does I/O. Hashing a password takes tens of milliseconds of one processor: call it in a thread.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from functools import cache
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

DATA_KEY_BYTES = 32
_NONCE_BYTES = 12
_TOKEN_BYTES = 32
# RFC 9106's parameters for little memory, with one lane: a sign-in shares its machine with others.
_HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)
_RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


class Undecipherable(Exception):
    """The ciphertext was changed, belongs to another client or path, or was made with another key."""


def associated_data(client_id: UUID, path: str) -> bytes:
    """What a ciphertext is bound to: copied to another client or path it no longer opens."""
    return f"opsloom/secret@1\n{client_id}\n{path}".encode()


def encrypt(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """AES-256-GCM: a random nonce followed by the ciphertext. ``key`` has 32 bytes."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(_checked(key)).encrypt(nonce, plaintext, associated)


def decrypt(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """The reverse of :func:`encrypt`. Raises :class:`Undecipherable`."""
    try:
        return AESGCM(_checked(key)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], associated)
    except (InvalidTag, ValueError) as error:
        raise Undecipherable("The ciphertext does not belong here.") from error


def _checked(key: bytes) -> bytes:
    if len(key) != DATA_KEY_BYTES:
        raise ValueError(f"A data key has {DATA_KEY_BYTES} bytes, not {len(key)}")
    return key


def hash_password(password: str) -> str:
    """The argon2id hash of ``password``, with its parameters and salt."""
    return _HASHER.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether ``password`` is the one that was hashed.

    Without a stored hash (nobody has that name) it takes as long and says no, so that time does not tell who exists.
    """
    try:
        return _HASHER.verify(stored or _nobody(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    """The hash of a password that nobody has."""
    return _HASHER.hash(secrets.token_urlsafe(_TOKEN_BYTES))


def needs_rehash(stored: str) -> bool:
    """Whether ``stored`` was made with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(stored)


def new_token(prefix: str = "") -> str:
    """A random token of 256 bits. ``prefix`` lets a person, or a scanner of leaked secrets, see what it is."""
    return prefix + secrets.token_urlsafe(_TOKEN_BYTES)


def token_hash(token: str) -> bytes:
    """What is stored instead of a token. It needs no salt, since a token is random and long."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def new_recovery_codes(count: int = 10) -> list[str]:
    """Codes for someone who lost the authenticator: 12 letters each, about 59 bits, without look-alikes."""
    return ["-".join(_letters(4) for _ in range(3)) for _ in range(count)]


def _letters(count: int) -> str:
    return "".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(count))


def recovery_hash(account_id: UUID, code: str) -> str:
    """The keyed hash of a recovery code as it is stored; case, spaces and hyphens do not matter."""
    plain = "".join(letter for letter in code.casefold() if letter.isalnum())
    return hmac.new(account_id.bytes, plain.encode(), hashlib.sha256).hexdigest()


def encode(data: bytes) -> str:
    """Bytes as text (base64)."""
    return base64.b64encode(data).decode()


def decode(text: str) -> bytes:
    """The reverse of :func:`encode`. Raises ValueError."""
    return base64.b64decode(text, validate=True)
