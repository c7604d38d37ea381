"""The doors that every request opens: who sent it, and may they enter that client. Each is one round trip. Web.

Listed, with who may open them, in :mod:`app.data.doors`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from app.data.doors import ClientOfAccount
from app.data.trips import Ask, door_trip

_AS_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MEMBERSHIP = "SELECT * FROM doors.membership(%s, %s, %s)"
_SESSION = "SELECT * FROM doors.session_by_hash(%s)"
_BEARER = "SELECT * FROM doors.token_by_hash(%s)"
_BEARER_IN_CLIENT = (
    "SELECT t.*, m.* FROM doors.token_by_hash(%s) AS t LEFT JOIN doors.membership(t.account_id, %s, %s) AS m ON true"
)


@dataclass(frozen=True)
class SessionRow:
    """A session and what a request needs to know of its account. ``now`` is the database's clock."""

    client_id: UUID
    id: UUID
    account_id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    absolute_expires_at: datetime
    replaced_by: UUID | None
    revoked_at: datetime | None
    stepped_up_at: datetime | None
    email: str
    name: str
    locale: str
    theme: str
    account_disabled_at: datetime | None
    now: datetime


@dataclass(frozen=True)
class TokenRow:
    """An API token and what a request needs to know of its account. ``clients`` None: all of the account's."""

    client_id: UUID
    id: UUID
    account_id: UUID
    clients: list[UUID] | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    email: str
    name: str
    locale: str
    account_disabled_at: datetime | None
    now: datetime


async def session_by_hash(token_hash: bytes) -> SessionRow | None:
    """The session whose token has this hash, whatever its state: the caller judges it."""
    rows = await door_trip(Ask(_SESSION, (token_hash,)))
    return SessionRow(*rows[0]) if rows else None


async def token_by_hash(token_hash: bytes) -> TokenRow | None:
    """The API token with this hash, whatever its state: the caller judges it."""
    rows = await door_trip(Ask(_BEARER, (token_hash,)))
    return TokenRow(*rows[0]) if rows else None


async def membership(account_id: UUID, wanted: str) -> ClientOfAccount | None:
    """The client of that short name or id, where the account may enter it."""
    rows = await door_trip(Ask(_MEMBERSHIP, (account_id, *_named(wanted))))
    return _client(rows[0]) if rows else None


async def token_in_client(token_hash: bytes, wanted: str) -> tuple[TokenRow, ClientOfAccount | None] | None:
    """:func:`token_by_hash` and, for the account that it gives, :func:`membership`."""
    rows = await door_trip(Ask(_BEARER_IN_CLIENT, (token_hash, *_named(wanted))))
    if not rows:
        return None
    of_token = len(fields(TokenRow))
    return TokenRow(*rows[0][:of_token]), _client(rows[0][of_token:])


def _named(wanted: str) -> tuple[str, UUID | None]:
    """What was asked for as a short name, and as an id where it is one. No name has a zero byte, no text either."""
    return wanted.replace("\0", "?"), UUID(wanted) if _AS_ID.fullmatch(wanted) else None


def _client(row: Sequence[Any]) -> ClientOfAccount | None:
    return ClientOfAccount(*row) if row[0] is not None else None
