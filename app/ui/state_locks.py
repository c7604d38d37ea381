"""Locks of the pages' states that a cancelled handler leaves as it should.

A tab's state is locked in Redis while it is written. A handler that a newer one supersedes is cancelled wherever it
waits: where that is between asking for the lock and learning that it has it, or while it gives it back, the lock stays,
and every other handler of the tab waits until it expires, which is ten seconds: the page stands empty. Here what was
begun with a lock is ended beside the cancelled handler.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import reflex as rx
from reflex.istate.manager.redis import StateManagerRedis
from reflex.istate.manager.token import StateToken


class SteadyStates(StateManagerRedis):
    """Keeps states in Redis as its base does; no cancel leaves a lock behind."""

    @asynccontextmanager
    async def _lock(self, token: StateToken[Any], event_name: str | None = None) -> AsyncIterator[bytes]:
        lock = super()._lock(token, event_name)
        entering = self._beside(lock.__aenter__())
        try:
            lock_id = await asyncio.shield(entering)
        except asyncio.CancelledError:
            self._beside(_given_back(entering, lock))
            raise
        try:
            yield lock_id
        finally:
            await asyncio.shield(self._beside(lock.__aexit__(*sys.exc_info())))

    def _beside(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """``work`` as a task of its own, which is kept until it is over."""
        task = asyncio.ensure_future(work)
        ending: set[asyncio.Task[Any]] = self.__dict__.setdefault("_ending", set())
        ending.add(task)
        task.add_done_callback(ending.discard)
        return task


async def _given_back(entering: asyncio.Task[Any], lock: Any) -> None:
    """Wait for the lock that nobody wants any more, and give it back at once."""
    try:
        await entering
    except Exception:  # it was not got, so there is nothing to give back
        return
    await lock.__aexit__(None, None, None)


def steady(app: rx.App) -> None:
    """Have ``app`` keep its states that way, where it keeps them in Redis."""
    present = app._state_manager
    if type(present) is StateManagerRedis:
        app._state_manager = SteadyStates(
            redis=present.redis,
            token_expiration=present.token_expiration,
            lock_expiration=present.lock_expiration,
            lock_warning_threshold=present.lock_warning_threshold,
        )
