"""Counters that may be lost: how often something happened lately. In Redis, and in this process where Redis is away.

They slow down guessing and floods. What must not be lost (an account's lock) is in PostgreSQL as well.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.core.logging import get_logger
from app.core.settings import get_settings

log = get_logger(__name__)
_REDIS_TIMEOUT_S = 1.0
_MOST_LOCAL_KEYS = 10_000
# Counting and setting the end of the window must be one step, or a crash between them leaves a counter for ever.
_COUNT = """
local count = redis.call('INCRBY', KEYS[1], ARGV[2])
if count == tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}
"""
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Redis]] = WeakKeyDictionary()
_local: OrderedDict[str, tuple[int, float]] = OrderedDict()


@dataclass(frozen=True)
class Count:
    """How often in this window, and how many seconds are left of it."""

    count: int
    seconds_left: float


def get_redis() -> Redis:
    """The Redis client of this event loop."""
    return redis_at(get_settings().redis_url)


def redis_at(url: str) -> Redis:
    """The same for the Redis at ``url``."""
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    if url not in clients:
        clients[url] = Redis.from_url(url, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S)
    return clients[url]


async def close_redis() -> None:
    """Close this event loop's clients."""
    for client in _clients.pop(asyncio.get_running_loop(), {}).values():
        await client.aclose()


async def count(kind: str, subject: str, *, window_s: float, by: int = 1) -> Count:
    """Add ``by`` to the counter of ``subject`` and read it; 0 only reads. A window starts at the first count.

    ``subject`` (an address, a name, a token) is hashed, so that Redis holds no personal data.
    """
    key = _key(kind, subject)
    try:
        if by == 0:
            return await _read(key)
        found, left_ms = await get_redis().eval(_COUNT, 1, key, str(int(window_s * 1000)), str(by))
        return Count(int(found), max(left_ms, 0) / 1000)
    except (RedisError, OSError, TimeoutError, ValueError) as error:
        log.warning("counters_local", reason=type(error).__name__)
        return _count_here(key, window_s, by)


async def _read(key: str) -> Count:
    async with get_redis().pipeline(transaction=True) as pipe:
        value, left_ms = await pipe.get(key).pttl(key).execute()
    return Count(int(value or 0), max(left_ms, 0) / 1000)


def _count_here(key: str, window_s: float, by: int) -> Count:
    now = time.monotonic()
    found, until = _local.get(key, (0, now + window_s))
    if until <= now:
        found, until = 0, now + window_s
    _local[key] = (found + by, until)
    _local.move_to_end(key)
    while len(_local) > _MOST_LOCAL_KEYS:
        _local.popitem(last=False)
    return Count(found + by, until - now)


async def read_until(kind: str, subject: str) -> float:
    """The moment (seconds since 1970) that :func:`set_until` stored, or 0."""
    try:
        return float(await get_redis().get(_key(kind, subject) + ":until") or 0)
    except (RedisError, OSError, TimeoutError, ValueError) as error:
        log.warning("counters_local", reason=type(error).__name__)
        return _local.get(_key(kind, subject) + ":until", (0, 0.0))[1]


async def set_until(kind: str, subject: str, moment: float) -> None:
    """Store a moment for ``subject``; it is forgotten when it has passed."""
    key = _key(kind, subject) + ":until"
    try:
        await get_redis().set(key, str(moment), pxat=max(int(moment * 1000), 1))
    except (RedisError, OSError, TimeoutError, ValueError) as error:
        log.warning("counters_local", reason=type(error).__name__)
        _local[key] = (0, moment)


def _key(kind: str, subject: str) -> str:
    return f"opsloom:count:{kind}:{hashlib.sha256(subject.encode()).hexdigest()[:32]}"


async def forget(kind: str, subject: str) -> None:
    """Set the counter of ``subject`` back to nothing."""
    key = _key(kind, subject)
    _local.pop(key, None)
    try:
        await get_redis().delete(key)
    except (RedisError, OSError, TimeoutError, ValueError) as error:
        log.warning("counters_local", reason=type(error).__name__)
