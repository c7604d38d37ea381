"""Streams of a client's runs: what they tell, how they end, and that slow or vanished readers cost nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from app.api import streams
from app.core.crypto import token_hash
from app.core.ids import new_id
from app.core.settings import get_settings
from app.data.counters import get_redis
from app.engine.runtime import channel
from app.engine.runtime.channel import Announcer
from app.engine.runtime.hub import CHANNEL, MOST_NEWS, Hub, News, Pile, hub_of
from app.services import auth, runs
from app.services.auth import sessions
from tests.servers import TestStack
from tests.stack.people import World, age, sign_in

pytestmark = pytest.mark.usefixtures("calm")
Json = dict[str, Any]


@pytest.fixture
async def session(web: TestStack, world: World) -> auth.SignedIn:
    return await sign_in(web.superuser_dsn, world.staff["viewer"])


def headers(session: auth.SignedIn) -> dict[str, str]:
    return {"Cookie": f"{auth.SESSION_COOKIE}={session.token}", "Origin": get_settings().base_url}


@pytest.fixture
async def announcer(web: TestStack) -> AsyncIterator[Announcer]:
    found = Announcer(web.redis_url)
    found.start()
    yield found
    await found.aclose()


@asynccontextmanager
async def following(
    http: httpx.AsyncClient, world: World, session: auth.SignedIn
) -> AsyncIterator[AsyncIterator[tuple[str, Json]]]:
    """The events of the first client's stream."""

    async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, Json]]:
        name = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))

    async with http.stream("GET", f"/api/v1/clients/{world.one.slug}/events", headers=headers(session)) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer)


async def test_a_client_hears_of_its_own_runs(world: World, http, session, announcer: Announcer) -> None:
    mine, theirs = new_id(), new_id()
    async with following(http, world, session) as events:
        assert await anext(events) == ("runs", {"look": True, "runs": []})
        while True:
            announcer.announce(world.two.id, theirs, 9, "running")
            announcer.announce(world.one.id, mine, 3, "running")
            name, news = await anext(events)
            if news["runs"]:
                break
        assert (name, news["runs"]) == ("runs", [{"id": str(mine), "seq": 3, "state": "running"}])


async def test_an_end_is_told_at_once(
    world: World, http, session, announcer: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else came just before it."""
    monkeypatch.setattr(channel, "_COALESCE_S", 3600)
    monkeypatch.setattr(runs, "_COALESCED_S", 0)
    run, news = new_id(), [{"state": ""}]
    async with following(http, world, session) as events:
        while news[0]["state"] != "running":  # from then on the hub hears, and the announcer waits before it says more
            announcer.announce(world.one.id, run, 1, "running")
            announcer._ended.set()
            news = (await anext(events))[1]["runs"] or news
        while news[0]["state"] != "succeeded":
            announcer.announce(world.one.id, run, 2, "succeeded")
            news = (await anext(events))[1]["runs"] or news


@pytest.mark.parametrize("turns", range(5))
async def test_an_announcer_ends_even_while_an_end_is_told(web: TestStack, turns: int) -> None:
    announcer = Announcer(web.redis_url)
    announcer.start()
    announcer.announce(new_id(), new_id(), 1, "running")
    await asyncio.sleep(0.1)  # it has said so, and waits for an end; where it is slower, it ends in another way
    announcer._ended.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    closing = asyncio.create_task(announcer.aclose())
    done, _ = await asyncio.wait([closing], timeout=10)
    closing.cancel()
    assert done, "what it waited for came together with its end, and the end was forgotten"


async def test_what_came_while_redis_was_lost_is_to_be_looked_for(
    world: World, http, session, announcer: Announcer
) -> None:
    async with following(http, world, session) as events:
        news: Json = {"runs": []}
        while not news["runs"]:  # by then the hub hears
            announcer.announce(world.one.id, new_id(), 1, "running")
            _, news = await anext(events)
        assert await get_redis().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        while not (await anext(events))[1]["look"]:
            pass


async def test_a_session_that_ended_ends_its_stream_while_it_has_news(
    world: World, http, session, announcer: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "ASK_AGAIN_S", 0.2)
    async with following(http, world, session) as events:
        await anext(events)
        await auth.sign_out(session.token)
        seq, name, said = 0, "", {}
        while name != "end":
            seq += 1
            announcer.announce(world.one.id, new_id(), seq, "running")
            name, said = await anext(events)
        assert said == {"reason": "signed_out"}


def some_news(announcer: Announcer, world: World) -> None:
    announcer.announce(world.one.id, new_id(), 1, "running")


def last_seen(stack: TestStack, token: str) -> datetime:
    """When the session was last seen at work."""
    with psycopg.connect(stack.superuser_dsn) as link:
        row = link.execute("SELECT last_seen_at FROM sessions WHERE token_hash = %s", [token_hash(token)]).fetchone()
    assert row
    seen: datetime = row[0]
    return seen


async def told_after_asking(
    monkeypatch: pytest.MonkeyPatch, events: AsyncIterator[tuple[str, Json]], announce: Callable[[], None]
) -> str:
    """What the stream says last, once it has asked whether it may go on: its end, or some news after that."""
    answers: list[bool] = []
    ask = streams._still_allowed

    async def noted(*known: Any) -> bool:
        answers.append(await ask(*known))
        return answers[-1]

    monkeypatch.setattr(streams, "_still_allowed", noted)
    name = ""
    while name != "end" and len(answers) < 2:
        announce()
        name, _ = await anext(events)
    return name


async def test_a_stream_goes_on_where_a_page_load_replaced_its_sessions_token(
    web: TestStack, world: World, http, session, announcer: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot get another cookie. That it still has the old one is no proof that somebody has copied it."""
    monkeypatch.setattr(streams, "ASK_AGAIN_S", 0.05)
    async with following(http, world, session) as events:
        await anext(events)
        age(web, session.token, sessions.ROTATE_AFTER)
        renewed = await auth.renew_session(session.token)
        assert renewed
        age(web, session.token, 2 * sessions.GRACE)
        assert await told_after_asking(monkeypatch, events, lambda: some_news(announcer, world)) == "runs"
    assert (await auth.resolve_session(renewed.token, live=False)).account_id == session.account_id


async def test_a_stream_that_is_left_open_does_not_keep_its_session_alive(
    web: TestStack, world: World, http, session, announcer: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "ASK_AGAIN_S", 0.05)
    async with following(http, world, session) as events:
        await anext(events)
        age(web, session.token, timedelta(minutes=5))
        seen = last_seen(web, session.token)
        assert await told_after_asking(monkeypatch, events, lambda: some_news(announcer, world)) == "runs"
    assert last_seen(web, session.token) == seen


async def test_a_session_has_so_many_streams_and_gets_them_back(
    world: World, address: str, session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS", 3)
    limits = httpx.Limits(max_connections=10)
    hub = hub_of(get_settings().redis_url)
    others = hub.readers
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=30, limits=limits) as http:
        path = f"/api/v1/clients/{world.one.slug}/events"
        async with AsyncExitStack() as several:
            # All are held: one that is forgotten closes its answer.
            held = [await several.enter_async_context(following(http, world, session)) for _ in range(3)]
            for events in held:
                await anext(events)
            refused = await http.get(path, headers=headers(session))
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
            assert int(refused.headers["retry-after"]) > 0
        while hub.readers > others:  # noqa: ASYNC110 - the server has no event for having noticed
            await asyncio.sleep(0.05)
        async with following(http, world, session) as events:
            await anext(events)


def test_a_pile_stays_small_whatever_comes() -> None:
    async def told() -> tuple[bool, list[News]]:
        pile = Pile(new_id(), None)
        await pile.take(0)
        for number in range(10_000):
            pile.tell(News(new_id(), number, "running"))
            assert len(pile) <= MOST_NEWS
        return await pile.take(0)

    look, news = asyncio.run(told())
    assert look
    assert len(news) <= MOST_NEWS


def test_of_one_run_the_newest_is_kept() -> None:
    async def told() -> tuple[bool, list[News]]:
        run = new_id()
        pile = Pile(new_id(), run)
        await pile.take(0)
        pile.tell(News(new_id(), 7, "running"))
        for number in range(100):
            pile.tell(News(run, number, "running"))
        return await pile.take(0)

    look, [news] = asyncio.run(told())
    assert (look, news.seq) == (False, 99)


async def test_news_reach_the_readers_of_their_client_and_nobody_else(web: TestStack) -> None:
    hub, one, other = Hub(web.redis_url, linger_s=0), str(new_id()), str(new_id())
    run = str(new_id())
    async with hub.reading(UUID(one)) as pile, hub.reading(UUID(other)) as theirs:
        await pile.take(0)
        await theirs.take(0)
        for unreadable in (b"{", b"7", b"null", b'{"client": 1}'):
            hub._pass_on(unreadable)
        # What cannot be read takes nothing with it, before it or after it.
        wrong = [[], 7, None, [one], [one, run, 1], [one, "no id", 1, "x"], [[one], run, 1, "x"], [one, run, None, "x"]]
        hub._pass_on(json.dumps([*wrong, [one, run, 1, "running"], *wrong]).encode())
        assert await pile.take(0) == (False, [News(UUID(run), 1, "running")])
        assert len(theirs) == 0
    assert hub.readers == 0
    await asyncio.sleep(0.01)
    assert hub._task is None


async def test_what_is_told_together_is_one_message_of_a_bounded_size(web: TestStack) -> None:
    client, told = new_id(), [new_id() for _ in range(2 * channel._MOST_TOGETHER + 1)]
    async with get_redis().pubsub() as heard:
        await heard.subscribe(CHANNEL)
        assert (await heard.get_message(timeout=5))["type"] == "subscribe"
        announcer = Announcer(web.redis_url)
        for seq, run in enumerate(told):
            announcer.announce(client, run, seq, "running")
        await announcer.aclose()
        messages: list[str] = []
        # All databases of one server share its channels: there is news of other tests among ours.
        while len(messages) < 3:
            data = (await heard.get_message(timeout=5))["data"]
            messages += [data] if str(client) in str(data) else []
    assert max(map(len, messages)) < 30_000
    found = [each for message in messages for each in json.loads(message)]
    assert found == [[str(client), str(run), seq, "running"] for seq, run in enumerate(told)]


async def test_a_hub_stays_for_a_while_and_what_it_then_hears_of_is_not_looked_for(web: TestStack) -> None:
    hub, client = Hub(web.redis_url), new_id()
    async with hub.reading(client, begun=False) as pile:
        # It has to be told so once by Redis, and before that it has to be looked.
        while not hub._hears:
            assert (await pile.take(5))[0]
    async with hub.reading(client, begun=False) as pile:
        assert await pile.take(0) == (False, [])
        run, other = new_id(), new_id()
        for number, each in enumerate((run, other)):
            pile.tell(News(each, number, "running"))
        pile.narrow(run, ("running",))
        assert await pile.take(0) == (False, [News(run, 0, "running")])
        pile.tell(News(other, 7, "running"))
        assert len(pile) == 0
    async with hub.reading(client) as pile:
        assert await pile.take(0) == (True, [])
    hub._leave()
