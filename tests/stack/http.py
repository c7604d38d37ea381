"""The gateway over real HTTP, on a free port of this machine, beside pages that are a stand-in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from app.api.gateway import gateway
from app.api.main import create_api

PAGE = "<!doctype html><html><head><script>let a = 1</script><script src='/x.js'></script></head></html>"


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    """What stands for Reflex: one page with an inline script."""
    await HTMLResponse(PAGE)(scope, receive, send)


def free_port() -> int:
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        found: int = link.getsockname()[1]
        return found


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """The address of the gateway for as long as the block lasts."""
    port = free_port()
    server = Server(
        gateway(create_api())(pages), address="127.0.0.1", port=port, interface=Interfaces.ASGINL, log_enabled=False
    )
    task = asyncio.create_task(server.serve())
    address = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(200):
            try:
                await client.get(f"{address}/healthz")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.02)
    try:
        yield address
    finally:
        server.stop()
        await asyncio.wait({task}, timeout=10)
