"""Waiting until reads show what a write did. Graph answers a write before every replica knows of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from connectors.base import Attempt
from connectors.errors import ConnectorError, OutcomeUnknown, Retryable, Throttled
from connectors.m365.client import M365Client

T = TypeVar("T")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 3.0
LONGEST_WAIT_S = 90.0
# Time kept back, so that the outcome can still be told before the attempt's deadline.
MARGIN_S = 2.0


async def until(
    client: M365Client, attempt: Attempt, look: Callable[[], Awaitable[T]], holds: Callable[[T], bool], what: str
) -> T:
    """Look until ``holds``, and give what was seen.

    Raises ``OutcomeUnknown`` when the bound is reached: the write was accepted, so nothing may be repeated blindly.
    """
    pause, waited = FIRST_PAUSE_S, 0.0
    while True:
        wait = pause
        try:
            seen = await look()
            if holds(seen):
                return seen
        except Retryable as error:
            # The write is done; trouble with reading must not make it look undone.
            wait = max(pause, error.retry_after if isinstance(error, Throttled) else 0.0)
        if waited + wait > LONGEST_WAIT_S or wait > client.left(attempt) - MARGIN_S:
            raise OutcomeUnknown(f"Microsoft 365 accepted the change, but {what} cannot be seen after {waited:.0f} s.")
        await asyncio.sleep(wait)
        waited += wait
        pause = min(pause * 2, LONGEST_PAUSE_S)


async def each(client: M365Client, attempt: Attempt, sends: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Send the several writes of one change.

    Once one is done, "throttled, nothing done" would no longer be true of the whole: throttling is then waited out
    within the attempt, and what cannot be is an unknown outcome, which ``recover`` looks into.
    """
    for number, send in enumerate(sends):
        while True:
            try:
                await send()
                break
            except Retryable as error:
                if number == 0:
                    raise
                await _wait_out(client, attempt, error)
            except ConnectorError as error:
                if number == 0:
                    raise
                raise OutcomeUnknown(f"Only {number} of {len(sends)} changes were made: {error.message}") from error


async def _wait_out(client: M365Client, attempt: Attempt, error: Retryable) -> None:
    wait = error.retry_after if isinstance(error, Throttled) else 1.0
    if wait > client.left(attempt) - MARGIN_S:
        raise OutcomeUnknown(f"Only a part of the change was made: {error.message}") from error
    await asyncio.sleep(wait)
