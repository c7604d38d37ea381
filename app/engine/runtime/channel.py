"""Live events: one Redis channel, with numbers and no content.

A message says how far the histories of runs have come; a reader is given those of its own client only
(:mod:`app.engine.runtime.hub`), and fetches the rest through its own tenant session. So a slow or vanished reader costs
the engine nothing, and Redis never holds what a tenant's run did.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.core.run_states import OVER
from app.engine.runtime.hub import CHANNEL, News, hub_of

log = structlog.get_logger(__name__)

_COALESCE_S = 0.04
# Where many runs end, those that end within this time are told together.
_BETWEEN_ENDS_S = 0.005
# News that go out together are one message, of 25 kB at most.
_MOST_TOGETHER = 250
_HEARTBEAT_S = 10.0


class Announcer:
    """Publishes how far runs have come, at most once in 40 ms for each, from one task. An end is told at once, so that
    a run that is over sooner is told of once."""

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
        self._news: dict[tuple[UUID, UUID], tuple[int, str]] = {}
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._publish_forever(), name="announcer")

    def announce(self, client_id: UUID, run_id: UUID, seq: int, state: str) -> None:
        """Remember that ``run_id`` has come to event ``seq`` and is in ``state``."""
        self._news[(client_id, run_id)] = (seq, state)
        self._wake.set()
        if state in OVER:
            self._ended.set()

    async def _publish_forever(self) -> None:
        while True:
            await self._wake.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(_COALESCE_S):
                    await self._ended.wait()
            self._wake.clear()
            self._ended.clear()
            news, self._news = self._news, {}
            try:
                await self._publish(news)
            except (RedisError, OSError) as error:
                log.warning("announce.failed", error=type(error).__name__)
            if any(state in OVER for _, state in news.values()):
                await asyncio.sleep(_BETWEEN_ENDS_S)

    async def _publish(self, news: dict[tuple[UUID, UUID], tuple[int, str]]) -> None:
        told = [(str(client_id), str(run_id), *how_far) for (client_id, run_id), how_far in news.items()]
        for start in range(0, len(told), _MOST_TOGETHER):
            await self._redis.publish(CHANNEL, json.dumps(told[start : start + _MOST_TOGETHER]))

    async def aclose(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        with suppress(RedisError):
            await self._publish(self._news)
        await self._redis.aclose()


async def listen(redis_url: str, client_id: UUID, run_id: UUID) -> AsyncGenerator[News | None, None]:
    """News of one run; None where a reader should look by itself: at first, after Redis was away, and every ten seconds
    without news (Redis may have lost a message)."""
    async with hub_of(redis_url).reading(client_id, run_id) as pile:
        while True:
            look, news = await pile.take(_HEARTBEAT_S)
            yield None if look or not news else news[-1]
