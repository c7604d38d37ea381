"""Writes the audit chain. An event belongs to the transaction of what it tells: both are there, or neither.

Events gather in the session and are written when it commits, so that the lock on the client's chain head is the last
one that a transaction takes and is held for one statement and the commit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, event, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core import metrics
from app.core.chain import GENESIS, Checkpoint, Event, Signer, clean, pieces
from app.core.clock import utcnow
from app.core.context import Context
from app.core.logging import get_logger
from app.core.settings import get_settings
from app.data.session import tenant_session

log = get_logger(__name__)
CHECKPOINT_EVERY = 256
_PENDING = "opsloom_audit"

_HEAD = text("SELECT seq, hash FROM audit_heads WHERE client_id = :client FOR UPDATE")
_APPEND = text("SELECT audit_append(:client, :events)").bindparams(bindparam("events", type_=JSONB))
_CHECKPOINT = text("""
    INSERT INTO audit_checkpoints (client_id, seq, hash, signature, key_id, at)
    VALUES (:client, :seq, :hash, :signature, :key_id, :at)
    ON CONFLICT (client_id, seq) DO NOTHING
""")


@dataclass(frozen=True)
class Entry:
    """An event that is to be added to the chain of its context's client."""

    context: Context
    at: datetime
    action: str
    target: str
    outcome: str
    details: Mapping[str, Any]

    @property
    def client_id(self) -> UUID:
        return self.context.client_id

    def row(self) -> dict[str, Any]:
        """What ``audit_append`` takes of it."""
        actor = self.context.actor
        event = Event(
            client_id=self.client_id,
            seq=0,
            at=self.at,
            actor_id=actor.account_id,
            actor=actor.email,
            via=actor.via,
            ip=actor.ip,
            action=self.action,
            target=self.target,
            outcome=self.outcome,
            details=self.details,
        )
        body = event.as_json()
        head, tail = pieces(body)
        return {**body, "head": head, "tail": tail}

    def count(self) -> None:
        """Count it, once it is committed."""
        metrics.audit_events.labels(self.action, self.outcome).inc()


@dataclass
class _Queue:
    entries: list[Entry] = field(default_factory=list)
    written: list[Entry] = field(default_factory=list)


def entry(
    context: Context,
    *,
    action: str,
    target: str = "",
    outcome: str = "success",
    details: Mapping[str, Any] | None = None,
) -> Entry:
    """An event of now. ``action`` is a past participle phrase such as ``user_created``, ``outcome`` is ``success``,
    ``failure`` or ``denied``. Keys of ``details`` that look like secrets are hidden."""
    return Entry(context, utcnow(), action, target, outcome, clean(details or {}))


def add(session: AsyncSession, made: Entry) -> None:
    """Add it to its chain when this transaction commits."""
    _queue(session).entries.append(made)


def rows_of(entries: Sequence[Entry]) -> str:
    """What ``audit_append`` takes, as JSON: for a statement that adds events together with what they tell of."""
    return json.dumps([each.row() for each in entries], ensure_ascii=False)


async def appended(entries: Sequence[Entry], last: int) -> None:
    """Count events that a committed statement has added, and sign the chain where it is time; ``last`` is its length.

    The events stay whatever becomes of the signature: where that fails, the scheduler signs soon.
    """
    for each in entries:
        each.count()
    if crosses(last, len(entries)):
        try:
            async with tenant_session(entries[-1].context) as session:
                await checkpoint(session, entries[-1].context)
        except Exception as error:
            log.warning("audit_not_signed", reason=type(error).__name__)


def crosses(last: int, added: int) -> bool:
    """Whether the chain is to be signed, now that ``added`` events have made it ``last`` long."""
    return last // CHECKPOINT_EVERY > (last - added) // CHECKPOINT_EVERY


async def record(
    session: AsyncSession,
    context: Context,
    *,
    action: str,
    target: str = "",
    outcome: str = "success",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add an event (:func:`entry`) to the chain of the context's client when this transaction commits."""
    add(session, entry(context, action=action, target=target, outcome=outcome, details=details))


def _queue(session: AsyncSession) -> _Queue:
    sync = session.sync_session
    found: _Queue | None = sync.info.get(_PENDING)
    if found is None:
        found = sync.info[_PENDING] = _Queue()
        event.listen(sync, "before_commit", _write)
        event.listen(sync, "after_commit", _count)
        event.listen(sync, "after_rollback", _drop)
    return found


def _write(session: Session) -> None:
    queue: _Queue = session.info[_PENDING]
    pending, queue.entries = queue.entries, []
    for client_id in dict.fromkeys(each.client_id for each in pending):
        _extend(session, client_id, [each for each in pending if each.client_id == client_id])
    queue.written += pending


def _count(session: Session) -> None:
    queue: _Queue = session.info[_PENDING]
    for each in queue.written:
        each.count()
    queue.written = []


def _drop(session: Session) -> None:
    session.info[_PENDING] = _Queue()


def _extend(session: Session, client_id: UUID, pending: Sequence[Entry]) -> None:
    values = {"client": client_id, "events": [each.row() for each in pending]}
    last = session.execute(_APPEND, values).scalar_one()
    if crosses(last, len(pending)) and (key := signer()):
        seq, head = session.execute(_HEAD, {"client": client_id}).one()
        _store(session, key.checkpoint(client_id, seq, bytes(head), utcnow()))


async def checkpoint(session: AsyncSession, context: Context) -> Checkpoint | None:
    """Sign the chain as it stands, unless that was done. None where the deployment has no signing key.

    The signature is logged too: whoever keeps the logs elsewhere can prove later how long the chain was.
    """
    key = signer()
    if key is None:
        return None
    connection = await session.connection()
    found = (await connection.execute(_HEAD, {"client": context.client_id})).first()
    seq, head = found or (0, GENESIS)
    made = key.checkpoint(context.client_id, seq, bytes(head), utcnow())
    await session.run_sync(_store, made)
    return made


def _store(session: Session, made: Checkpoint) -> None:
    session.execute(
        _CHECKPOINT,
        {
            "client": made.client_id,
            "seq": made.seq,
            "hash": made.hash,
            "signature": made.signature,
            "key_id": made.key_id,
            "at": made.at,
        },
    )
    log.info("audit_checkpoint", **made.as_json())


def signer() -> Signer | None:
    """The deployment's signing key, or None. Raises ValueError where the file holds something else."""
    path = get_settings().audit_signing_key
    return _signer(path) if path else None


@lru_cache(maxsize=2)
def _signer(path: Path) -> Signer | None:
    try:
        return Signer(path.read_bytes())
    except OSError as error:
        log.error("audit_key_unreadable", reason=type(error).__name__)
        return None
