"""What became of a write whose answer was lost: found out by looking, never by writing again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from app.core.clock import utcnow
from app.engine.core.state import RunState, places
from app.engine.runtime.bindings import Binding
from app.engine.runtime.stage import error_json
from app.engine.runtime.trouble import OURS
from connectors.base import Applied, Attempt, Change
from connectors.errors import ConnectorError, OutcomeUnknown, Retryable, Throttled

Json = dict[str, Any]
T = TypeVar("T")
log = structlog.get_logger(__name__)

# A request whose connection broke may still be worked on by the platform: what it did is looked for this long before
# "nothing happened" is believed.
_SETTLE_S = 6.0
_LOOK_EVERY_S = 1.0
# A platform that cannot be asked (it throttles, it is away) is asked again for this long; then a person is.
_PATIENCE_S = 60.0
_ONE_LOOK_S = 60.0


class NothingDone(ConnectorError):
    """The answer to a write was lost and the platform shows no trace of it. Try again with the same key."""

    code = "answer_lost"
    retryable = True

    def as_json(self) -> Json:
        return {**super().as_json(), "remedy": "Retryable"}


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """``work``, done again while what it needs (the vault, a sign-in) does not answer. Raises its last error."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        try:
            return await work()
        except Retryable as error:
            left = began + _PATIENCE_S - loop.time()
            if left <= 0:
                raise
            log.info("recovery.waits", code=error.code)
            await asyncio.sleep(_until_next_look_s(error, left))


async def find_out(binding: Binding, change: Change, attempt: Attempt) -> Applied | None:
    """Look until the platform has had time to finish what it may still be working on; None where it did nothing.

    A look that fails tells nothing, and must not end as an ordinary failure: that would be tried again by writing.
    Raises OutcomeUnknown where it cannot be told.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    # Looking is bounded by itself; the write's own deadline may be long past after a takeover.
    looking = replace(attempt, deadline=utcnow() + timedelta(seconds=_ONE_LOOK_S))
    while True:
        pause_s = _LOOK_EVERY_S
        try:
            async with asyncio.timeout(_ONE_LOOK_S):
                found = await binding.recover(change, looking)
        except (OutcomeUnknown, *OURS):
            raise
        except Exception as error:
            passing, left = isinstance(error, Retryable | TimeoutError), began + _PATIENCE_S - loop.time()
            if not passing or left <= 0:
                raise unknown(change, error) from error
            pause_s = _until_next_look_s(error, left)
        else:
            if found is not None or loop.time() - began >= _SETTLE_S:
                return found
        await asyncio.sleep(pause_s)


def _until_next_look_s(error: Exception, left_s: float) -> float:
    """As long as the platform asks to be left alone, as far as there is time for another look after it."""
    asked = error.retry_after if isinstance(error, Throttled) else 0.0
    return max(_LOOK_EVERY_S, min(asked, left_s))


def unknown(change: Change, error: BaseException) -> OutcomeUnknown:
    """A person has to say what became of the write: ``error`` kept us from finding out."""
    why = error_json(error)
    return OutcomeUnknown(
        f"The answer to this step was lost. What became of {change.target} could not be found out: {why['message']}",
        details={"code": why["code"]},
    )


def calls_left_s(state: RunState, abandoned: str | None, now: datetime) -> float | None:
    """Seconds until the calls of a worker that is only presumed dead have run out of time; it may yet send them.

    A worker that is gone for certain sends nothing more.
    """
    if abandoned != "lapsed":
        return None
    running = [state.states[place] for place in places(state.running)]
    deadlines = [datetime.fromisoformat(each.deadline) for each in running if each.deadline]
    left = max(((deadline - now).total_seconds() for deadline in deadlines), default=0.0)
    return left if left > 0 else None
