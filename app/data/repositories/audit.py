"""Writes the audit chain. An event belongs to the transaction of what it tells: both are there, or neither.

Events gather in the session and are written when it commits, so that the lock on the client's chain head is the last
one that a transaction takes and is held for two statements only.
"""

from __future__ import annotations

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
from app.core.chain import GENESIS, Checkpoint, Event, Signer, clean, event_hash
from app.core.clock import utcnow
from app.core.context import Context
from app.core.logging import get_logger
from app.core.settings import get_settings

log = get_logger(__name__)
CHECKPOINT_EVERY = 256
_PENDING = "opsloom_audit"

_LOCK_HEAD = text("""
    INSERT INTO audit_heads (client_id, seq, hash) VALUES (:client, 0, :genesis)
    ON CONFLICT (client_id) DO UPDATE SET seq = audit_heads.seq
    RETURNING seq, hash
""")
_APPEND = text("""
    WITH added AS (
        INSERT INTO audit_events (client_id, seq, at, actor_id, actor, via, ip, action, target, outcome, details,
                                  prev_hash, hash)
        SELECT client_id, seq, at, actor_id, actor, via, ip, action, target, outcome, details,
               decode(prev_hash, 'hex'), decode(hash, 'hex')
        FROM jsonb_to_recordset(:events) AS e(
            client_id uuid, seq bigint, at timestamptz, actor_id uuid, actor text, via text, ip text, action text,
            target text, outcome text, details jsonb, prev_hash text, hash text)
    )
    UPDATE audit_heads SET seq = :seq, hash = :hash WHERE client_id = :client
""").bindparams(bindparam("events", type_=JSONB))
_CHECKPOINT = text("""
    INSERT INTO audit_checkpoints (client_id, seq, hash, signature, key_id, at)
    VALUES (:client, :seq, :hash, :signature, :key_id, :at)
    ON CONFLICT (client_id, seq) DO NOTHING
""")


@dataclass(frozen=True)
class _Pending:
    context: Context
    at: datetime
    action: str
    target: str
    outcome: str
    details: Mapping[str, Any]


@dataclass
class _Queue:
    events: list[_Pending] = field(default_factory=list)
    written: list[tuple[str, str]] = field(default_factory=list)


async def record(
    session: AsyncSession,
    context: Context,
    *,
    action: str,
    target: str = "",
    outcome: str = "success",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add an event to the chain of the context's client when this transaction commits.

    ``action`` is a past participle phrase such as ``user_created``, ``outcome`` is ``success``, ``failure`` or
    ``denied``. Keys of ``details`` that look like secrets are hidden.
    """
    kept = clean(details or {})
    _queue(session).events.append(_Pending(context, utcnow(), action, target, outcome, kept))


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
    pending, queue.events = queue.events, []
    for client_id in dict.fromkeys(entry.context.client_id for entry in pending):
        _extend(session, client_id, [entry for entry in pending if entry.context.client_id == client_id])
    queue.written += [(entry.action, entry.outcome) for entry in pending]


def _count(session: Session) -> None:
    queue: _Queue = session.info[_PENDING]
    for action, outcome in queue.written:
        metrics.audit_events.labels(action, outcome).inc()
    queue.written = []


def _drop(session: Session) -> None:
    session.info[_PENDING] = _Queue()


def _extend(session: Session, client_id: UUID, pending: Sequence[_Pending]) -> None:
    seq, head = session.execute(_LOCK_HEAD, {"client": client_id, "genesis": GENESIS}).one()
    rows, crossed = [], False
    for entry in pending:
        seq += 1
        made = _event(client_id, seq, entry).as_json()
        prev, head = bytes(head), event_hash(made, bytes(head))
        rows.append({**made, "prev_hash": prev.hex(), "hash": head.hex()})
        crossed = crossed or seq % CHECKPOINT_EVERY == 0
    session.execute(_APPEND, {"events": rows, "seq": seq, "hash": head, "client": client_id})
    if crossed and (key := signer()):
        _store(session, key.checkpoint(client_id, seq, head, utcnow()))


def _event(client_id: UUID, seq: int, entry: _Pending) -> Event:
    actor = entry.context.actor
    return Event(
        client_id=client_id,
        seq=seq,
        at=entry.at,
        actor_id=actor.account_id,
        actor=actor.email,
        via=actor.via,
        ip=actor.ip,
        action=entry.action,
        target=entry.target,
        outcome=entry.outcome,
        details=entry.details,
    )


async def checkpoint(session: AsyncSession, context: Context) -> Checkpoint | None:
    """Sign the chain as it stands, unless that was done. None where the deployment has no signing key.

    The signature is logged too: whoever keeps the logs elsewhere can prove later how long the chain was.
    """
    key = signer()
    if key is None:
        return None
    connection = await session.connection()
    found = await connection.execute(_LOCK_HEAD, {"client": context.client_id, "genesis": GENESIS})
    seq, head = found.one()
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
