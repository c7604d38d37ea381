"""How fast the platforms behind connections are asked, by all workers together.

Redis holds a bucket and a hold for each connection. An operation takes its place in the bucket; when a platform says
"slow down", its hold keeps every worker back until then. Both may be lost: without Redis no limit is known, and what
the platform answers is all there is.

Waiting is short and holds nothing durable. Who would have to wait longer raises :class:`HeldBack`, and its step goes
back to the queue until then, without that counting as a try.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.engine.core.retry import MAX_RETRY_AFTER_S
from connectors.base import Rate
from connectors.errors import Throttled

log = structlog.get_logger(__name__)
T = TypeVar("T")

STEP_PATIENCE_S = 5.0
PLAN_PATIENCE_S = 60.0
_REDIS_TIMEOUT_S = 0.5
# While Redis is away, it is asked again this often and not at each operation.
_AWAY_S = 5.0
# An operation that a platform throttles is tried again this often while planning: looking is harmless.
_LOOKS = 4

# Gives the milliseconds to wait and takes the place, unless that is longer than the caller would wait. The value says
# whose it is, and what is another's counts for nothing. One step, by the server's clock: workers' clocks differ.
_ENTER = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local held = redis.call('PTTL', KEYS[2])
if held > 0 and redis.call('GET', KEYS[2]) ~= ARGV[1] then held = 0 end
local wait = math.max(held, 0)
local interval = tonumber(ARGV[2])
if interval == 0 then return wait end
local owner, free = string.match(redis.call('GET', KEYS[1]) or '', '^(.-) (.+)$')
free = owner == ARGV[1] and tonumber(free) or now
free = math.max(free, now)
wait = math.max(wait, free - now - (tonumber(ARGV[3]) - 1) * interval)
if wait <= tonumber(ARGV[4]) then
  local after = free + interval
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. string.format('%.3f', after), 'PX', math.ceil(after - now) + 1000)
end
return math.ceil(wait)
"""
# A hold is only ever made longer.
_HOLD = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1
"""


class HeldBack(Throttled):
    """The connection is to be left alone for ``retry_after`` seconds. Nothing was sent."""

    code = "held_back"

    def as_json(self) -> dict[str, Any]:
        return {**super().as_json(), "remedy": "Throttled"}


@dataclass(frozen=True)
class Lane:
    """One connection of one client, and how fast it may be asked (None: as its platform lets us)."""

    client_id: UUID
    connection_id: UUID
    rate: Rate | None

    def key(self, what: str) -> str:
        return f"opsloom:{self.client_id}:{what}:{self.connection_id}"


class Pace:
    """The limits of connections, shared through Redis. One for each worker."""

    def __init__(self, redis_url: str) -> None:
        timeout = _REDIS_TIMEOUT_S
        self._redis = Redis.from_url(redis_url, socket_timeout=timeout, socket_connect_timeout=timeout)
        self._away_until = 0.0

    async def call(self, lane: Lane, work: Callable[[], Awaitable[T]], *, patience_s: float = STEP_PATIENCE_S) -> T:
        """Do ``work`` when it is its turn. Raises HeldBack instead of waiting longer than ``patience_s``.

        Where the platform throttles it, every worker leaves the connection alone for as long as it asked.
        """
        await self.enter(lane, patience_s)
        try:
            return await work()
        except Throttled as error:
            await self.hold(lane, error.retry_after)
            raise

    async def look(self, lane: Lane, work: Callable[[], Awaitable[T]], *, patience_s: float = PLAN_PATIENCE_S) -> T:
        """As :meth:`call` for what only looks: done again when it was throttled. Raises HeldBack, or the last error."""
        for _ in range(_LOOKS - 1):
            try:
                return await self.call(lane, work, patience_s=patience_s)
            except HeldBack:
                raise
            except Throttled as error:
                # The hold is waited for by the next turn; where nobody could be told of it, here.
                await asyncio.sleep(min(error.retry_after, patience_s) if self._is_away() else 0.0)
        return await self.call(lane, work, patience_s=patience_s)

    async def enter(self, lane: Lane, patience_s: float) -> None:
        """Take a place and wait for it. Raises HeldBack where that would take longer than ``patience_s``."""
        rate = lane.rate
        waited = 0.0
        while wait_s := await self._ask(lane, rate, patience_s - waited):
            if waited + wait_s > patience_s:
                raise HeldBack("This connection is being left alone for a while.", retry_after=wait_s)
            await asyncio.sleep(wait_s)
            waited += wait_s
            rate = None  # the place is taken; only a hold that came meanwhile still counts

    async def hold(self, lane: Lane, seconds: float) -> None:
        """Let every worker leave the connection alone for ``seconds``."""
        most_ms = int(min(max(seconds, 0.0), MAX_RETRY_AFTER_S) * 1000)
        if most_ms > 0:
            await self._eval(_HOLD, lane.key("hold"), keys=1, values=(str(lane.client_id), str(most_ms)))

    async def _ask(self, lane: Lane, rate: Rate | None, patience_s: float) -> float:
        interval_ms = 1000 / rate.per_s if rate else 0
        burst = rate.burst if rate else 1
        values = (str(lane.client_id), repr(interval_ms), str(burst), repr(max(patience_s, 0.0) * 1000))
        found = await self._eval(_ENTER, lane.key("pace"), lane.key("hold"), keys=2, values=values)
        return found / 1000

    async def _eval(self, script: str, *names: str, keys: int, values: tuple[str, ...]) -> int:
        """What the script gives; 0 where Redis is away."""
        if self._is_away():
            return 0
        try:
            return int(await self._redis.eval(script, keys, *names, *values))  # type: ignore[misc]
        except (RedisError, OSError) as error:
            self._away_until = time.monotonic() + _AWAY_S
            log.warning("pace.unknown", error=type(error).__name__)
            return 0

    def _is_away(self) -> bool:
        return time.monotonic() < self._away_until

    async def aclose(self) -> None:
        with suppress(RedisError):
            await self._redis.aclose()
