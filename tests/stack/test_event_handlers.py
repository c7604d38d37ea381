"""Every event handler is a public endpoint: each is called over a real websocket by those who may not."""

from __future__ import annotations

import hashlib
import inspect
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from app.services import auth, clients, workflows
from tests.servers import TestStack
from tests.stack.people import World, sign_in
from tests.stack.web import Json, Tab, tab, web_process

CANARY = "Canary of the second client"
# A session is touched when it is used; everything else must stay as it is.
TOUCHED = {"sessions"}


@dataclass
class Scene:
    """``mine`` and ``theirs`` are ids of a workflow of the client that one works in, and of another client."""

    url: str
    world: World
    mine: str
    theirs: str


@pytest.fixture(scope="module")
def url(web: TestStack) -> Iterator[str]:
    with web_process(web) as found:
        yield found


@pytest.fixture(scope="module")
async def scene(url: str, world: World) -> Scene:
    one = clients.system_context("setup", world.one.id, world.one.slug)
    two = clients.system_context("setup", world.two.id, world.two.slug)
    mine = await workflows.create(one, name="Of the first client")
    theirs = await workflows.create(two, name=CANARY)
    return Scene(url, world, str(mine.id), str(theirs.id))


def handlers() -> dict[str, Any]:
    """All that Reflex has registered, its own among them."""
    from app.app import app

    return {name: found.handler for name, found in app._registration_context.event_handlers.items()}


def argument(hint: Any, name: str, thing: str) -> Any:
    """A value that a handler takes: an id where it may be one."""
    plain = typing.get_origin(hint) or hint
    if isinstance(hint, types.UnionType) or plain is typing.Union:
        return None
    if plain is dict:
        fields = ("workflow", "approval", "run", "id", "connection", "platform", "alias", "decision", "op", "document")
        return dict.fromkeys(fields, thing) | {
            "request": 1,
            "name": "Made by nobody",
            "mode": "apply",
            "config": {},
        }
    samples = {list: [thing], bool: True, int: 1, float: 1.0}
    return samples.get(plain, thing)


def payload(handler: Any, thing: str) -> Json:
    hints = handler._type_hints or {}
    names = list(inspect.signature(handler.fn).parameters)[1:]
    return {name: argument(hints.get(name, str), name, thing) for name in names}


async def call_all(page: Tab, slug: str, thing: str) -> int:
    """Call every handler with that id in every place; gives how many were called."""
    params = {"client": slug, "workflow": thing, "run": thing, "batch": thing}
    found = handlers()
    for name, handler in found.items():
        await page.call(name, payload(handler, thing), path=f"/c/{slug}/workflows/{thing}", params=params)
    await page.served()
    return len(found)


def dump(stack: TestStack) -> dict[str, str]:
    """A digest of every table's rows."""
    with psycopg.connect(stack.superuser_dsn) as link:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL(%s)"
        names = [row[0] for row in link.execute(query, [list(TOUCHED)]).fetchall()]
        rows = sql.SQL("SELECT t::text FROM {} t ORDER BY 1")
        return {
            name: hashlib.sha256(repr(link.execute(rows.format(sql.Identifier(name))).fetchall()).encode()).hexdigest()
            for name in names
        }


async def test_unsigned_nothing_is_told_or_changed(stack: TestStack, scene: Scene) -> None:
    before = dump(stack)
    async with tab(scene.url, None) as page:
        assert await call_all(page, scene.world.one.slug, scene.mine) > 30
        assert page.shown()["gate"] == "sign_in"
        assert "Of the first client" not in page.text()
        assert scene.world.boss.email not in page.text()
    assert dump(stack) == before


async def test_with_a_revoked_session_nothing_is_told_or_changed(stack: TestStack, scene: Scene) -> None:
    signed = await sign_in(stack.superuser_dsn, scene.world.boss)
    await auth.sign_out(signed.token)
    before = dump(stack)
    async with tab(scene.url, signed.token) as page:
        await call_all(page, scene.world.one.slug, scene.mine)
        assert page.shown()["gate"] == "sign_in"
        assert "Of the first client" not in page.text()
    assert dump(stack) == before


async def test_the_lowest_role_gets_nothing_and_changes_nothing(stack: TestStack, scene: Scene) -> None:
    signed = await sign_in(stack.superuser_dsn, scene.world.staff["portal"])
    before = dump(stack)
    async with tab(scene.url, signed.token) as page:
        await call_all(page, scene.world.one.slug, scene.mine)
        assert page.shown()["me"]["email"] == scene.world.staff["portal"].email
        assert "Of the first client" not in page.text()
    assert dump(stack) == before


async def test_another_clients_things_are_not_there(stack: TestStack, scene: Scene) -> None:
    """An engineer of the first client names the second in the address, then only its things."""
    signed = await sign_in(stack.superuser_dsn, scene.world.staff["owner"])
    before = dump(stack)
    for slug in (scene.world.two.slug, str(scene.world.two.id)):
        async with tab(scene.url, signed.token) as page:
            await call_all(page, slug, scene.theirs)
            assert CANARY not in page.text()
            assert scene.world.two.name not in page.text()
    assert dump(stack) == before
    async with tab(scene.url, signed.token) as page:
        found = handlers()
        opens = next(name for name in found if name.endswith("builder_state.open"))
        params = {"client": scene.world.one.slug, "workflow": scene.theirs}
        await page.call(opens, {}, path="/", params=params)
        await page.served()
        assert CANARY not in page.text()
        assert page.shown()["gate"] == "not_found"


async def test_those_who_may_are_served(stack: TestStack, scene: Scene) -> None:
    """The same calls do something for an owner: otherwise the tests above would prove nothing."""
    signed = await sign_in(stack.superuser_dsn, scene.world.boss)
    before = dump(stack)
    async with tab(scene.url, signed.token) as page:
        await call_all(page, scene.world.one.slug, scene.mine)
        await page.until(lambda: page.shown().get("me") and "Of the first client" in page.text())
        assert page.shown()["me"]["email"] == scene.world.boss.email
        assert "Of the first client" in page.text()
    assert dump(stack)["workflows"] != before["workflows"]


async def test_a_tabs_state_is_not_given_to_another_account(stack: TestStack, scene: Scene) -> None:
    """Whoever learns a tab's token gets an empty state: it is kept for the account of the cookie."""
    boss = await sign_in(stack.superuser_dsn, scene.world.boss)
    other = await sign_in(stack.superuser_dsn, scene.world.staff["viewer"])
    token = str(uuid4())
    load = next(name for name in handlers() if name.endswith("session_state.load_frame"))
    hydrate = next(name for name in handlers() if name.endswith(".hydrate"))
    params = {"client": scene.world.one.slug}
    async with tab(scene.url, boss.token, name=token) as page:
        await page.call(load, {}, path="/", params=params)
        await page.served()
        assert page.shown()["me"]["email"] == scene.world.boss.email
    for cookie in (other.token, None):
        async with tab(scene.url, cookie, name=token) as page:
            await page.call(hydrate, {}, path="/", params=params)
            await page.served()
            assert scene.world.boss.email not in page.text()
    async with tab(scene.url, boss.token, name=token) as page:
        await page.call(hydrate, {}, path="/", params=params)
        await page.served()
        assert page.shown()["me"]["email"] == scene.world.boss.email


async def test_the_websocket_is_for_our_own_pages(scene: Scene) -> None:
    address = f"{scene.url}/_event?EIO=4&transport=websocket"
    asked = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAA",
    }
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(address, headers=asked | {"Origin": "https://elsewhere.example"})
    assert answer.status_code in (400, 403)
