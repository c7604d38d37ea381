"""What follows something stops when the page is left, the right is taken away, or there is no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.errors import Forbidden, NotSignedIn
from app.ui import watch
from app.ui.links import FRESH_S, Links, links

SID = "a connection"


class Tab:
    """As much of a page's state as following needs: its connection, and the address, which is read under the lock."""

    def __init__(self) -> None:
        self.router = SimpleNamespace(session=SimpleNamespace(session_id=SID))
        self.rx_router_page = SimpleNamespace(raw_path="/c/one/runs?state=failed")
        self.gone_to: str | None = None

    async def __aenter__(self) -> Tab:
        if self.gone_to:
            self.rx_router_page.raw_path = self.gone_to
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@pytest.fixture
def state() -> Any:
    links.opened(SID)
    yield Tab()
    links.closed(SID)


async def numbers(last: int) -> AsyncGenerator[int, None]:
    for number in range(last):
        yield number


async def forever() -> AsyncGenerator[int, None]:
    await asyncio.sleep(3600)
    yield 0


async def someone(state: Any, *, touch: bool) -> str:
    assert touch is False, "what happens by itself must not keep a session alive"
    return "someone"


async def test_it_looks_again_until_the_tab_has_gone(state: Any) -> None:
    seen = []
    async for who in watch.while_open(state, someone, 0):
        seen.append(who)
        if len(seen) == 3:
            links.closed(SID)
    assert seen == ["someone"] * 3


async def test_it_ends_when_the_tab_shows_another_page_and_nobody_is_asked_about_that_one(state: Any) -> None:
    seen = []
    async for who in watch.while_open(state, someone, 0):
        seen.append((who, state.rx_router_page.raw_path))
        if len(seen) == 2:
            state.gone_to = "/c/one/runs/?state="
        if len(seen) == 3:
            state.gone_to = "/c/two/runs"
    assert [path for _, path in seen] == ["/c/one/runs?state=failed"] * 2 + ["/c/one/runs/?state="]


async def test_it_ends_with_the_session(state: Any) -> None:
    async def nobody(state: Any, *, touch: bool) -> str:
        raise NotSignedIn()

    with pytest.raises(NotSignedIn):
        async for _ in watch.while_open(state, nobody, 0):
            pass


async def test_everything_is_passed_on(state: Any) -> None:
    assert [number async for number in watch.while_allowed(state, "run.read", numbers(4))] == [0, 1, 2, 3]


async def test_a_source_that_is_not_heard_to_its_end_is_closed(state: Any) -> None:
    closed = []

    async def source() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.sleep(3600)
        finally:
            closed.append(True)

    async with aclosing(watch.while_allowed(state, "run.read", source())) as heard:  # type: ignore[type-var]
        assert await anext(heard) == 1
    assert closed == [True]


async def test_a_silent_source_ends_when_the_page_is_left(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def allowed(*_: Any, **__: Any) -> None:
        state.gone_to = "/clients"

    monkeypatch.setattr(watch, "ASK_AGAIN_AFTER_S", 0.01)
    monkeypatch.setattr(watch, "current_context", allowed)
    assert [number async for number in watch.while_allowed(state, "run.read", forever())] == []


async def test_a_silent_source_ends_when_the_right_is_taken_away(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any, **__: Any) -> None:
        raise Forbidden("run.read")

    monkeypatch.setattr(watch, "ASK_AGAIN_AFTER_S", 0.01)
    monkeypatch.setattr(watch, "current_context", refused)
    with pytest.raises(Forbidden):
        async for _ in watch.while_allowed(state, "run.read", forever()):
            pass


class Server:
    """Remembers which transports were closed."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.manager = SimpleNamespace(eio_sid_from_sid=lambda sid, namespace: f"transport of {sid}")
        self.eio = self

    async def disconnect(self, transport: str) -> None:
        self.closed.append(transport)


async def test_an_old_connection_is_made_anew_and_a_fresh_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("app.ui.links.time.monotonic", lambda: now)
    found, server = Links(), Server()
    found.serve(server, "/_event")  # type: ignore[arg-type]
    found.opened(SID)
    assert not await found.renew(SID)
    now += FRESH_S + 1
    assert await found.renew(SID)
    assert not await found.renew("unknown here")
    assert server.closed == [f"transport of {SID}"]
