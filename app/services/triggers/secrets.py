"""A webhook's address and secret. What signs must be known to check a signature, so it is in the vault; what is only
compared is kept as a hash."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from uuid import UUID

from app.core import crypto
from app.core.errors import Missing
from app.data.models.triggers import Trigger
from app.data.vault import get_vault

_RANDOM_BYTES = 24
_CLIENT_BYTES = 16
SIGNING_PREFIX = "whsec_"
PLAIN_PREFIX = "ohs_"


@dataclass(frozen=True)
class NewSecret:
    """A secret as it is handed over, once."""

    value: str


async def give(row: Trigger, auth: str) -> NewSecret:
    """Give a webhook a new address and a new secret; the old ones end when the row is stored."""
    token = _new_token(row.client_id)
    row.config = {**row.config, "token": token}
    row.token_hash = crypto.token_hash(token)
    if auth == "secret":
        value = crypto.new_token(PLAIN_PREFIX)
        row.secret_hash = crypto.token_hash(value)
        return NewSecret(value)
    key = secrets.token_bytes(32)
    await get_vault("web").put_secret(row.client_id, _path(row.id), crypto.encode(key))
    return NewSecret(SIGNING_PREFIX + crypto.encode(key))


async def signing_key(row: Trigger) -> bytes | None:
    """The key that a webhook's sender signs with; None where there is none. Raises Unavailable."""
    try:
        return crypto.decode(await get_vault("web").get_secret(row.client_id, _path(row.id)))
    except Missing:
        return None


async def forget(row: Trigger) -> None:
    """Destroy the signing key."""
    await get_vault("web").delete_secret(row.client_id, _path(row.id))


def client_of_token(token: str) -> UUID | None:
    """The client that an address names; None for what is no address of ours."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    return UUID(bytes=raw[:_CLIENT_BYTES]) if len(raw) == _CLIENT_BYTES + _RANDOM_BYTES else None


def _new_token(client_id: UUID) -> str:
    raw = client_id.bytes + secrets.token_bytes(_RANDOM_BYTES)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _path(trigger_id: UUID) -> str:
    return f"triggers/{trigger_id}/secret"
