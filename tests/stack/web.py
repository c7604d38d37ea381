"""The web process over a test's stack, without a front end, and a browser's end of its websocket."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import socketio

from app.core.home import PROJECT
from app.embedded.state import free_port
from app.services.auth import SESSION_COOKIE
from tests.servers import TestStack

Json = dict[str, Any]
_START_S = 60
# Where tests/stack/served.py tells which handlers are at work.
AT_WORK = "/_at_work"


@contextmanager
def web_process(stack: TestStack) -> Iterator[str]:
    """The address of a web process that is ended with the block."""
    port = free_port()
    url = f"http://localhost:{port}"
    with tempfile.TemporaryDirectory(prefix="opsloom-web-") as folder:
        environment = {
            **os.environ,
            **stack.environment(),
            "OPSLOOM_PORT": str(port),
            "OPSLOOM_BASE_URL": url,
            "OPSLOOM_CORS_ORIGINS": f'["{url}"]',
            "REFLEX_WEB_WORKDIR": f"{folder}/web",
            "REFLEX_STATES_WORKDIR": f"{folder}/states",
            "REFLEX_TELEMETRY_ENABLED": "false",
            "REFLEX_ENV_MODE": "prod",
            "REFLEX_BACKEND_ONLY": "true",
            "__REFLEX_SKIP_COMPILE": "true",
        }
        server = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "tests.stack.served:app"]
        place = ["--host", "127.0.0.1", "--port", str(port)]
        with Path(folder, "web.log").open("wb") as log:
            process = subprocess.Popen([*server, *place], cwd=PROJECT, env=environment, stdout=log, stderr=log)
        try:
            _wait(url, process, Path(folder, "web.log"))
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            if httpx.get(f"{url}/ping", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-3000:])


@dataclass
class Tab:
    """A browser tab: what it sends, and everything that it was sent."""

    client: socketio.AsyncClient
    url: str
    received: list[Json] = field(default_factory=list)
    heard_at: float = 0.0

    async def call(self, handler: str, payload: Json, *, path: str, params: Json) -> None:
        """Call an event handler, as any script in a browser could; returns once the server has taken it."""
        router = {"pathname": path, "asPath": path, "query": params}
        event = {"name": handler, "payload": payload, "router_data": router}
        await self.client.call("event", event, namespace="/_event", timeout=60)

    async def served(self, *, most_s: float = 120.0) -> None:
        """Wait until every handler that was called is over, or waits until it looks again, and what it sent is here.

        Raises AssertionError naming what is still at work after ``most_s`` seconds.
        """
        end = time.monotonic() + most_s
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            while left := await self._at_work(client):
                assert time.monotonic() < end, f"still at work after {most_s} s: {', '.join(sorted(left))}"
                await asyncio.sleep(0.05)
        await self._silence()

    async def _at_work(self, client: httpx.AsyncClient) -> list[str]:
        answer = await client.get(f"{self.url}{AT_WORK}", params={"sid": self.client.get_sid("/_event")})
        found: list[str] = answer.raise_for_status().json()
        return found

    async def _silence(self, *, for_s: float = 0.5, most_s: float = 20.0) -> None:
        """Wait until nothing has come for a while: what was sent last may still be under way."""
        self.heard_at = time.monotonic()
        end = time.monotonic() + most_s
        while time.monotonic() - self.heard_at < for_s and time.monotonic() < end:  # noqa: ASYNC110 - silence has no event
            await asyncio.sleep(0.05)

    async def until(self, seen: Callable[[], Any], *, most_s: float = 60.0) -> None:
        """Wait for what has to come, however busy the machine is; whoever called asserts it."""
        end = time.monotonic() + most_s
        while not seen() and time.monotonic() < end:  # noqa: ASYNC110 - what others send has no event
            await asyncio.sleep(0.05)

    def shown(self) -> Json:
        """The last value of each variable that was sent, whichever state it belongs to."""
        found: Json = {}
        for update in self.received:
            for variables in (update.get("delta") or {}).values():
                found.update({name.removesuffix("_rx_state_"): value for name, value in variables.items()})
        return found

    def text(self) -> str:
        return str(self.received)


@asynccontextmanager
async def tab(url: str, token: str | None, *, name: str | None = None) -> AsyncIterator[Tab]:
    """A connected tab with that session's cookie, or without one. ``name`` is Reflex's own token of the tab."""
    client = socketio.AsyncClient(reconnection=False)
    found = Tab(client, url)

    def take(update: Any) -> None:
        found.received.append(update)
        found.heard_at = time.monotonic()

    client.on("event", take, namespace="/_event")
    headers = {"Origin": url} | ({"Cookie": f"{SESSION_COOKIE}={token}"} if token else {})
    address = f"{url}?token={name or uuid4()}"
    await client.connect(
        address, headers=headers, transports=["websocket"], socketio_path="/_event", namespaces=["/_event"]
    )
    try:
        yield found
    finally:
        await client.disconnect()
