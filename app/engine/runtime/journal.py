"""A run's history while it is being written: events in order, in as few commits as they need.

An event changes the state in memory at once and is durable after the next :meth:`Journal.flush`. Branches that flush at
the same moment share one commit. A write to a platform is made only after the flush that held its intent; what changes
nothing there goes on while its commit is under way (:meth:`Journal.flush_behind`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.engine.core.events import Event
from app.engine.core.plan import Command, advance, next_commands
from app.engine.core.state import RunState
from app.engine.runtime.channel import Announcer
from app.engine.runtime.dispatch import Claim, FenceLost, Woken
from app.engine.runtime.store import Audit, Numbered, Store

Json = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """An event that is not written yet, with the audit event that must be written together with it."""

    numbered: Numbered
    audit: Audit | None = None


# So many turns of the loop later what was asked of the database is sent, where nothing else is under way (Together lets
# others join in between).
_TURNS_UNTIL_SENT = 2


class JournalLost(Exception):
    """A commit failed, or nobody knows whether it did. What is in memory counts for nothing: load the run again."""


class Journal:
    """The state of one claimed run, and its only writer."""

    def __init__(self, store: Store, claim: Claim, state: RunState, written: int, announcer: Announcer) -> None:
        self._store = store
        self._claim = claim
        self._announcer = announcer
        self._lock = asyncio.Lock()
        self._entries: list[Entry] = []
        self._noted = written
        self._written = written
        self.state = state
        self.commands: list[Command] = next_commands(state.graph, state)
        self.wakeups = claim.wakeups
        self.woken = claim.wakeups
        self.lost = False
        self._why: Exception | None = None
        self.over = False  # the run has left the queue
        self._behind: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._also: Json = {}
        self._besides: list[Audit] = []

    @property
    def pending(self) -> bool:
        return bool(self._entries)

    @property
    def begun(self) -> bool:
        """Whether anything has happened in the run."""
        return self._noted > 0

    def note(self, event: Event, audit: Audit | None = None) -> None:
        """Let ``event`` have happened. New commands are added to :attr:`commands`."""
        self.state, commands = advance(self.state.graph, self.state, event)
        self.commands.extend(commands)
        self._noted += 1
        self._entries.append(Entry((self._noted, event), audit))

    def take_back(self, before: RunState) -> None:
        """The event noted last did not happen: it was refused, and the state is ``before`` again."""
        if not self._entries:
            raise JournalLost  # it went with a commit of somebody else's
        self._entries.pop()
        self._noted -= 1
        self.state = before
        self.replan()

    def hold(self, run_patch: Json, *work: Audit) -> None:
        """Let ``run_patch`` and ``work`` go with the next commit, whatever that is for."""
        self._also = _together(self._also, run_patch)
        self._besides.extend(work)

    def replan(self) -> None:
        """Begin again with all that can be done now (after a restart, or a reset by a person)."""
        self.commands = next_commands(self.state.graph, self.state)

    async def flush(self, run_patch: Json | None = None, queue_patch: Json | None = None, *work: Audit) -> None:
        """Make everything noted so far durable, together with the patches and ``work`` in the same transaction.

        Raises Woken where the run was to end and something was asked of it: nothing is written, and what was noted is
        noted still. Raises FenceLost or JournalLost, after which nothing may be done any more: a branch that shared the
        commit that failed must not act on an intent which nobody kept.
        """
        await self.settle()
        await self._flush(run_patch, queue_patch, *work)

    async def flush_behind(self) -> None:
        """Make everything noted so far durable while the walk goes on, at most one commit ahead of the database.

        For what does no harm where it is not kept, as steps that touch no platform, or only look. Raises what went
        wrong with the commit before; :meth:`settle` raises what goes wrong with this one.
        """
        before, self._behind = self._behind, asyncio.create_task(self._flush())
        self._under_way.add(self._behind)
        self._behind.add_done_callback(self._forget)
        if before and not before.done():
            await asyncio.shield(before)
            return
        if before:
            before.result()
        for _ in range(_TURNS_UNTIL_SENT):
            await asyncio.sleep(0)

    @property
    def behind(self) -> asyncio.Task[None] | None:
        """The last commit that the walk has not waited for, which may have ended: :meth:`settle` tells how."""
        return self._behind

    async def settle(self) -> None:
        """Wait until what was flushed is durable. Raises FenceLost or JournalLost, as :meth:`flush`."""
        if behind := self._behind:
            await asyncio.shield(behind)
            if self._behind is behind:
                self._behind = None

    async def abandon(self) -> None:
        """The walk is over: cut off the commits that nobody has waited for."""
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it is told; asyncio need not say that nobody does

    async def _flush(self, run_patch: Json | None = None, queue_patch: Json | None = None, *work: Audit) -> None:
        upto = self._noted
        async with self._lock:
            if self.lost:
                raise (FenceLost if isinstance(self._why, FenceLost) else JournalLost) from self._why
            held = self._also or self._besides
            if self._written >= upto and run_patch is None and queue_patch is None and not work and not held:
                return
            entries, self._entries = self._entries, []
            also, self._also = self._also, {}
            besides, self._besides = self._besides, []
            if also:
                run_patch = _together(also, run_patch or {})
            state = (run_patch or {}).get("state") or self.state.outcome or "running"
            # Lost until it is known to be written: a flush may also be cut off in the middle.
            self.lost = True
            try:
                await self._keep(entries, run_patch, queue_patch, (*besides, *work))
            except Woken as woken:
                self._entries, self.woken, self.lost = [*entries, *self._entries], woken.wakeups, False
                self._also, self._besides = _together(also, self._also), [*besides, *self._besides]
                raise
            self.lost = False
            self.over = bool(queue_patch and queue_patch.get("done"))
            self._written += len(entries)
        self._announcer.announce(self._claim.client_id, self._claim.run_id, self._written, state)

    async def _keep(
        self, entries: Sequence[Entry], run_patch: Json | None, queue_patch: Json | None, work: Sequence[Audit]
    ) -> None:
        try:
            await self._write(entries, run_patch, queue_patch, work)
        except Woken:
            raise
        except FenceLost as error:
            self._why = error
            raise
        except Exception as error:
            self._why = error
            raise JournalLost from error

    async def _write(
        self, entries: Sequence[Entry], run_patch: Json | None, queue_patch: Json | None, work: Sequence[Audit]
    ) -> None:
        if queue_patch and (queue_patch.get("release") or queue_patch.get("done")):
            queue_patch = {**queue_patch, "wakeups": self.wakeups}
        parameters = self._store.parameters(self._claim, [e.numbered for e in entries], run_patch, queue_patch)
        together = [*work, *(entry.audit for entry in entries if entry.audit)]
        if together:
            self.woken = await self._store.commit_with(self._claim, parameters, together)
        else:
            self.woken = await self._store.commit_prepared(parameters)

    @property
    def was_woken(self) -> bool:
        """Whether something was asked of the run since it was last looked at."""
        return self.woken != self.wakeups


def _together(first: Json, second: Json) -> Json:
    """Two patches of a run as one; what is kept in its ``extra`` is merged, as it is when they come one by one."""
    found = {**first, **second}
    if "extra" in first and "extra" in second:
        found["extra"] = {**first["extra"], **second["extra"]}
    return found
