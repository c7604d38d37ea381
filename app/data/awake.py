"""Staying awake for an answer that is due in a moment.

A process that waits is put to sleep, and so is a processor with nothing else to do. To wake them takes as long as a
short statement. So while one statement is waited for, the event loop turns for a moment instead of sleeping: whatever
else comes is served as ever, and any other process may have the processor.
"""

from __future__ import annotations

import os
import time
from asyncio import get_running_loop

# So many answers in a row come too late, and so many statements are then waited for asleep: the database is far away.
_TOO_LATE = 4
_ASLEEP = 100
# As many are after two at once: there is much to do, and the database needs the processors.
_BUSY = 20


class Awake:
    """Keeps its event loop from sleeping for at most ``most_s`` seconds a statement, as long as there is exactly one.

    Where there is but one processor, the database may need it, and the loop sleeps at once.
    """

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s if _processors() > 1 else 0.0
        self._waiting = 0
        self._until = 0.0
        self._turning = False
        self._late = 0
        self._asleep = 0

    def begin(self) -> None:
        """A statement was sent. Each is to be ended."""
        self._waiting += 1
        if self._waiting > 1:
            self._asleep = max(self._asleep, _BUSY)
        elif self._asleep:
            self._asleep -= 1
        elif self._most_s:
            self._until = time.monotonic() + self._most_s
            if not self._turning:
                self._turning = True
                get_running_loop().call_soon(self._turn)

    def end(self) -> None:
        """It was answered, or nobody waits for its answer any more."""
        self._waiting -= 1

    def _turn(self) -> None:
        alone = self._waiting == 1
        if alone and time.monotonic() < self._until:
            get_running_loop().call_soon(self._turn)
            return
        self._turning = False
        self._late = self._late + 1 if alone else 0
        if self._late == _TOO_LATE:
            self._late, self._asleep = 0, _ASLEEP


def _processors() -> int:
    """How many this process may use; not every system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
