"""Locks of the pages' states, when the handlers that want them are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import reflex as rx
from redis.asyncio import Redis
from reflex.istate.manager.redis import StateManagerRedis
from reflex.istate.manager.token import BaseStateToken

from app.ui.state_locks import SteadyStates, steady
from tests.servers import TestStack

# So long that whoever waits for a lock to expire fails the test.
NEVER_MS = 600_000
PATIENCE_S = 20
TOKEN: Any = BaseStateToken(ident="a tab", cls=rx.State)


class Slow(SteadyStates):
    """Redis has given the lock, and the answer is still under way."""

    async def _try_get_lock(self, lock_key: bytes, lock_id: bytes) -> bool | None:
        got = await super()._try_get_lock(lock_key, lock_id)
        self.__dict__.setdefault("answered", asyncio.Event()).set()
        await asyncio.sleep(0.1)
        return got


@pytest.fixture
async def redis(stack: TestStack) -> AsyncIterator[Redis]:
    client = Redis.from_url(stack.redis_url)
    yield client
    await client.aclose()


def manager(kind: type[SteadyStates], redis: Redis) -> SteadyStates:
    return kind(redis=redis, lock_expiration=NEVER_MS, lock_warning_threshold=NEVER_MS - 1)


async def hold(states: SteadyStates) -> None:
    async with states._lock(TOKEN):
        await asyncio.sleep(0)


async def test_cancelled_while_the_answer_comes_it_leaves_no_lock(redis: Redis) -> None:
    states = manager(Slow, redis)
    states.__dict__["answered"] = answered = asyncio.Event()
    superseded = asyncio.create_task(hold(states))
    await answered.wait()
    superseded.cancel()
    await asyncio.wait([superseded])
    async with asyncio.timeout(PATIENCE_S):
        await hold(states)
    await states.close()


async def test_what_fails_under_the_lock_fails_and_frees_it(redis: Redis) -> None:
    states = manager(SteadyStates, redis)
    with pytest.raises(LookupError):
        async with states._lock(TOKEN):
            raise LookupError
    async with asyncio.timeout(PATIENCE_S):
        await hold(states)
    await states.close()


def test_the_application_keeps_its_states_so(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.app import app

    plain = StateManagerRedis(redis=redis)
    monkeypatch.setattr(app, "_state_manager", plain)
    steady(app)
    assert isinstance(app._state_manager, SteadyStates)
    assert app._state_manager.redis is plain.redis
