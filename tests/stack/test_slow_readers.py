"""A reader of a stream that takes nothing from its socket costs a bounded amount, and holds up nobody else."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.api import streams
from app.core.ids import new_id
from app.core.settings import get_settings
from app.data.counters import get_redis
from app.engine.runtime.hub import CHANNEL, MOST_NEWS, hub_of
from app.services import auth, runs
from tests.servers import TestStack
from tests.stack.people import World, sign_in
from tests.stack.test_streams import following, headers

pytestmark = pytest.mark.usefixtures("calm")
Json = dict[str, Any]

# What the buffers of both sides' kernels and of the server hold of a stream, at most.
MOST_BYTES = 16_000_000
# A stream that nothing was written to for so many waves of news, of 18 kB each, has come to a standstill.
STILL = 150
PROMPTLY_S = 5.0


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[Any]:
    """Bytes that were written to each stream, by the task that serves it."""
    found: Counter[Any] = Counter()
    message = streams._message

    def noted(*said: Any) -> str:
        text = message(*said)
        found[asyncio.current_task()] += len(text)
        return text

    monkeypatch.setattr(streams, "_message", noted)
    monkeypatch.setattr(runs, "_COALESCED_S", 0)
    return found


@asynccontextmanager
async def unread(address: str, world: World, session: auth.SignedIn) -> AsyncIterator[socket.socket]:
    """A socket over which the first client's stream was asked for, and that nobody reads."""
    server = urlsplit(address)
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(link, (server.hostname, server.port))
        asked = [f"GET /api/v1/clients/{world.one.slug}/events HTTP/1.1", f"Host: {server.netloc}"]
        asked += [f"{name}: {value}" for name, value in headers(session).items()]
        await loop.sock_sendall(link, "\r\n".join([*asked, "", ""]).encode())
        yield link


async def announce(world: World, seq: int) -> str:
    """Tell of as many runs as a pile holds. Gives the last one's id."""
    told = [[str(world.one.id), str(new_id()), seq, "running"] for _ in range(MOST_NEWS)]
    await get_redis().publish(CHANNEL, json.dumps(told))
    return str(told[-1][1])


async def until_heard(events: AsyncIterator[tuple[str, Json]], run: str) -> None:
    """Read until the news of ``run``, or until told to look for it. Raises TimeoutError where that takes long."""
    async with asyncio.timeout(PROMPTLY_S):
        async for _, news in events:
            if news["look"] or any(each["id"] == run for each in news["runs"]):
                return


async def rest_of(link: socket.socket, wanted: bytes) -> None:
    """Read at last, until ``wanted`` comes."""
    loop, tail = asyncio.get_running_loop(), b""
    async with asyncio.timeout(60):
        while wanted not in tail:
            tail = tail[-200:] + await loop.sock_recv(link, 1_000_000)


async def test_a_socket_that_is_not_read(
    world: World, address: str, http: Any, web: TestStack, made: Counter[Any]
) -> None:
    session = await sign_in(web.superuser_dsn, world.staff["viewer"])
    hub = hub_of(get_settings().redis_url)
    async with unread(address, world, session) as link:
        async with asyncio.timeout(10):
            while not made:  # noqa: ASYNC110 - the server has no event for having begun
                await asyncio.sleep(0.01)
        (slow,) = made
        async with following(http, world, session) as events:
            await anext(events)
            wave, since, written = 0, 0, made[slow]
            while wave - since < STILL:
                wave += 1
                await until_heard(events, await announce(world, wave))
                assert all(len(pile) <= MOST_NEWS for pile in hub._piles[str(world.one.id)])
                if made[slow] != written:
                    since, written = wave, made[slow]
                assert written < MOST_BYTES, "what nobody reads is written all the same"
            assert max(made.values()) > written + STILL * 10_000, "the other reader got all of it"
        # Whoever reads again is told that something was missed.
        await rest_of(link, b'"look": true, "runs": []')
