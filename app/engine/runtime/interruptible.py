"""Work that only looks, given up as soon as something is asked of its run or its worker stops: neither is to wait for a
long plan."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.engine.runtime.dispatch import Woken

T = TypeVar("T")


class Interruptible:
    """One such work at a time. ``wakeups`` is what the walk has seen of its run."""

    def __init__(self, wakeups: int) -> None:
        self._wakeups = wakeups
        self._task: asyncio.Task[Any] | None = None
        self._interrupted = False
        self._closed = False

    def interrupt(self) -> None:
        """Give up what is being done, if anything is."""
        if self._task is not None:
            self._interrupted = True
            self._task.cancel()

    def close(self) -> None:
        """Give up what is being done, and whatever is to be done from now on: the worker stops."""
        self._closed = True
        self.interrupt()

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` gives. Raises Woken where it was given up: the run is to be looked at from the start."""
        if self._closed:
            work.close()
            raise Woken(self._wakeups)
        self._task = asyncio.create_task(work)
        try:
            return await self._task
        except asyncio.CancelledError:
            if self._interrupted:
                raise Woken(self._wakeups) from None
            raise
        finally:
            self._task, self._interrupted = None, False
