"""The engine's reads and writes: one statement each, fenced and under row-level security."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import psycopg
import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.data.commits import RunLost, Write, Written, engine_commit, engine_commit_many, engine_load
from app.data.link import Link
from app.data.links import Links
from app.data.repositories import audit
from app.data.session import tenant_session
from app.engine.core.events import Event
from app.engine.runtime.dispatch import Claim, FenceLost, Woken
from app.engine.runtime.record import Record, parse_record
from app.engine.runtime.together import Together

log = structlog.get_logger(__name__)

Numbered = tuple[int, Event]
Audit = Callable[[AsyncSession], Awaitable[Any]]


@dataclass(frozen=True)
class Told:
    """Work that adds an audit event and nothing else, so that it needs no transaction of several statements."""

    entry: audit.Entry

    async def __call__(self, session: AsyncSession) -> None:
        audit.add(session, self.entry)


def event_rows(events: Sequence[Numbered]) -> list[dict[str, Any]]:
    """Events as rows of the history."""
    return [
        {
            "seq": seq,
            "node": getattr(event, "node", ""),
            "kind": event.kind,
            "attempt": getattr(event, "attempt", None) or 0,
            "payload": event.to_json(),
        }
        for seq, event in events
    ]


class Store:
    """What walks read and write; what several of them do at the same moment is one statement."""

    def __init__(self, links: Links, worker_id: UUID) -> None:
        self._links = links
        self._worker_id = worker_id
        self._loads = Together(self._load_all)
        self._writes = Together(self._write_all)

    async def load(self, claim: Claim) -> Record | None:
        """The run with all that walking it needs; None where it is gone."""
        raw = await self._loads.ask(claim)
        return parse_record(raw) if raw else None

    async def _load_all(self, claims: Sequence[Claim]) -> list[dict[str, Any] | Exception | None]:
        try:
            return list(await self._load(claims))
        except Exception as error:
            if _is_cut_off(error) or len(claims) == 1:
                raise
        # One of them cannot be read; the others can.
        found: list[dict[str, Any] | Exception | None] = []
        for claim in claims:
            try:
                found += await self._load([claim])
            except Exception as error:
                found.append(error)
        return found

    async def _load(self, claims: Sequence[Claim]) -> list[dict[str, Any] | None]:
        async with self._links.link() as link:
            return await engine_load(link, claims)

    def parameters(
        self,
        claim: Claim,
        events: Sequence[Numbered] = (),
        run_patch: dict[str, Any] | None = None,
        queue_patch: dict[str, Any] | None = None,
    ) -> Write:
        """What is to be written."""
        return Write(claim, event_rows(events), run_patch, queue_patch)

    async def commit(
        self,
        claim: Claim,
        events: Sequence[Numbered] = (),
        run_patch: dict[str, Any] | None = None,
        queue_patch: dict[str, Any] | None = None,
    ) -> int:
        """Write events and patches in one transaction; gives the run's wake-up counter. Raises FenceLost, and
        Woken where the run was to end and was woken since it was last looked at."""
        return await self.commit_prepared(self.parameters(claim, events, run_patch, queue_patch))

    async def commit_prepared(self, write: Write) -> int:
        """The same with what :meth:`parameters` gave: one statement, one round trip."""
        return _looked_at((await self._writes.ask(write)).woken)

    async def commit_with(self, claim: Claim, write: Write, work: Sequence[Audit]) -> int:
        """The same, with ``work`` (audit events, approvals) in the same transaction."""
        if not work:
            return await self.commit_prepared(write)
        told = [part.entry for part in work if isinstance(part, Told)]
        if len(told) == len(work):
            return await self._commit_told(write, told)
        async with tenant_session(claim.client_id) as session:
            raw = await (await session.connection()).get_raw_connection()
            wakeups = _looked_at((await self._put(raw.driver_connection, write)).woken)
            for part in work:
                await part(session)
        return wakeups

    async def _commit_told(self, write: Write, told: Sequence[audit.Entry]) -> int:
        """One statement as well: no event is of another client than the run's."""
        written = await self._writes.ask(replace(write, told=[entry.row() for entry in told]))
        woken = _looked_at(written.woken)
        for entry in told:
            entry.count()
        if written.last is not None:
            await _signed(told[-1].context)
        return woken

    async def _write_all(self, writes: Sequence[Write]) -> list[Written | Exception]:
        """What was written of each; ``last`` only for the write with which its client's chain is to be signed."""
        found: list[Written | None] = [None] * len(writes)
        if len(writes) > 1:
            try:
                async with self._links.link() as link:
                    found = await engine_commit_many(link, self._worker_id, writes)
            except Exception as error:
                if _is_cut_off(error):
                    raise  # whether it was written, nobody knows
                # One of them cannot be written, or not even be sent; the others can.
        answers: list[Written | Exception] = []
        for write, written in zip(writes, _with_signers(writes, found), strict=True):
            answers.append(written or await self._alone(write))
        return answers

    async def _alone(self, write: Write) -> Written | Exception:
        try:
            async with self._links.link() as link:
                written = await self._put(link, write)
        except Exception as error:
            return error
        return _with_signers([write], [written])[0] or written

    async def _put(self, link: Link, write: Write) -> Written:
        try:
            return await engine_commit(link, self._worker_id, write)
        except RunLost as error:
            raise FenceLost from error


def _is_cut_off(error: Exception) -> bool:
    """Whether the database was not there to answer."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None


def _with_signers(writes: Sequence[Write], found: Sequence[Written | None]) -> list[Written | None]:
    """``last`` is left to one write of each client whose chain is to be signed now, and taken from all others."""
    if not any(write.told for write in writes):
        return list(found)
    added: Counter[UUID] = Counter()
    for write, written in zip(writes, found, strict=True):
        if written and written.woken >= 0:
            added[write.claim.client_id] += len(write.told)
    lean: list[Written | None] = []
    for write, written in zip(writes, found, strict=True):
        client, last = write.claim.client_id, written.last if written and write.told else None
        signs = last is not None and audit.crosses(last, added.pop(client, 0))
        lean.append(replace(written, last=None) if written and written.last is not None and not signs else written)
    return lean


def _looked_at(woken: int) -> int:
    """The wake-up counter that a commit gave. Raises Woken."""
    if woken < 0:
        raise Woken(-1 - woken)
    return woken


async def _signed(context: Context) -> None:
    """Sign the chain as it stands. What is committed stays so: where this fails, the scheduler does it soon."""
    try:
        async with tenant_session(context) as session:
            await audit.checkpoint(session, context)
    except Exception as error:
        log.warning("audit.not_signed", error=type(error).__name__)
