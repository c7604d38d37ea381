"""Where a process hears of runs: one connection to Redis for all its readers, and for each reader a small pile of news.

News say how far a run has come. Of one run only the newest is kept; a reader that takes none for long, or that Redis
was lost to, is told to look again instead. So a slow or vanished reader costs a few hundred numbers at most.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

MOST_NEWS = 200
_AGAIN_S = 1.0
# After the last reader has gone the connection is kept for the next: to open one takes longer than most runs.
_LINGER_S = 60.0
CHANNEL = "opsloom:news"
"""What is published there is a list of ``[client, run, seq, state]`` as JSON."""


@dataclass(frozen=True)
class News:
    """A run has come to event ``seq`` and is in ``state``."""

    run: UUID
    seq: int
    state: str


class Pile:
    """The news of one reader: of one run, or of all runs of a client."""

    def __init__(self, client_id: UUID, run_id: UUID | None, *, look: bool = True) -> None:
        self.client_id = client_id
        self.run_id = run_id
        self._states: Collection[str] | None = None
        self._news: dict[UUID, News] = {}
        self._look = False
        self._some = asyncio.Event()
        if look:
            self.look_again()

    def __len__(self) -> int:
        return len(self._news)

    def tell(self, news: News) -> None:
        if self.run_id not in (None, news.run) or (self._states is not None and news.state not in self._states):
            return
        if len(self._news) >= MOST_NEWS and news.run not in self._news:
            self.look_again()
            return
        self._news[news.run] = news
        self._some.set()

    def narrow(self, run_id: UUID, states: Collection[str]) -> None:
        """From now on only that the run is in one of ``states``; what else was heard is forgotten."""
        self.run_id, self._states = run_id, states
        self._news = {each: news for each, news in self._news.items() if each == run_id and news.state in states}
        if not (self._news or self._look):
            self._some.clear()

    def look_again(self) -> None:
        """Something may have been missed."""
        self._news.clear()
        self._look = True
        self._some.set()

    async def take(self, seconds: float) -> tuple[bool, list[News]]:
        """Whether to look again, and the news since the last time; waits for either, at most ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._some.wait()
        look, news = self._look, list(self._news.values())
        self._look = False
        self._news.clear()
        self._some.clear()
        return look, news


class Hub:
    """Hears the news of all clients while there is a reader, and ``linger_s`` seconds longer."""

    def __init__(self, redis_url: str, linger_s: float = _LINGER_S) -> None:
        self._redis_url = redis_url
        self._linger_s = linger_s
        # By their client's id as it is written in the news: most of them are of clients that nobody here reads of.
        self._piles: dict[str, set[Pile]] = {}
        self._task: asyncio.Task[None] | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._hears = False

    @property
    def readers(self) -> int:
        return sum(map(len, self._piles.values()))

    @asynccontextmanager
    async def reading(self, client_id: UUID, run_id: UUID | None = None, *, begun: bool = True) -> AsyncIterator[Pile]:
        """News of a client's runs for as long as the block lasts. The first :meth:`Pile.take` says to look, unless what
        is waited for has not ``begun``, so that none of its news has been missed."""
        pile = Pile(client_id, run_id, look=begun or not self._hears)
        client = str(client_id)
        self._piles.setdefault(client, set()).add(pile)
        self._stay()
        try:
            yield pile
        finally:
            self._piles[client].discard(pile)
            if not self._piles[client]:
                del self._piles[client]
            if not self._piles:
                self._leaving = asyncio.get_running_loop().call_later(self._linger_s, self._leave)

    def _stay(self) -> None:
        if self._leaving:
            self._leaving.cancel()
            self._leaving = None
        if self._task is None:
            self._task = asyncio.create_task(self._hear_forever(), name="hub")

    def _leave(self) -> None:
        self._leaving = None
        if self._task:
            self._task.cancel()
            self._task, self._hears = None, False

    async def _hear_forever(self) -> None:
        while True:
            redis = Redis.from_url(self._redis_url, socket_connect_timeout=2)
            try:
                await self._hear(redis)
            except (RedisError, OSError) as error:
                log.warning("hub.redis_away", error=type(error).__name__)
            finally:
                if self._task is asyncio.current_task():
                    self._hears = False
                with suppress(RedisError, OSError):
                    await redis.aclose()
            await asyncio.sleep(_AGAIN_S)

    async def _hear(self, redis: Redis) -> None:
        async with redis.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            async for message in pubsub.listen():
                if message["type"] == "subscribe":
                    self._hears = True
                    self._all_look_again()
                elif message["type"] == "message":
                    self._pass_on(message["data"])

    def _all_look_again(self) -> None:
        """What came while nobody listened is not known."""
        for piles in self._piles.values():
            for pile in piles:
                pile.look_again()

    def _pass_on(self, data: bytes) -> None:
        with suppress(ValueError, TypeError):
            for said in json.loads(data):
                self._tell(said)

    def _tell(self, said: Any) -> None:
        """Each piece of news says whose it is. One that does not is nobody's, and those beside it are told all the
        same."""
        with suppress(ValueError, TypeError):
            client, run, seq, state = said
            if piles := self._piles.get(client):
                news = News(UUID(run), int(seq), str(state))
                for pile in piles:
                    pile.tell(news)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub_of(redis_url: str) -> Hub:
    """The hub of this event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub(redis_url)
    return _hubs[loop]
