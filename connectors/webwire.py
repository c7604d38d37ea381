"""A request and an answer of a simulated web API as plain values, and what faults make of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from connectors.httpd import HangUp
from connectors.simulation import Fault, Faults

Json = dict[str, Any]
LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Request:
    """One HTTP request. ``gone`` waits until the caller has closed the connection."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    gone: Callable[[], Awaitable[Any]] = field(repr=False)

    def json(self) -> Json:
        """The body as a JSON object; an empty body is an empty object. Raises ValueError."""
        value = json.loads(self.body or b"{}")
        if not isinstance(value, dict):
            raise ValueError("the body is a JSON object")  # noqa: TRY004 - answered as 400 like every bad value
        return value


@dataclass
class Reply:
    """One answer. ``body`` is bytes as they are, anything else is sent as JSON; None for no content."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        if self.body is None or isinstance(self.body, bytes):
            return self.body or b""
        try:
            return json.dumps(self.body, ensure_ascii=False, sort_keys=True).encode()
        except UnicodeEncodeError:  # half a character can be written as its escape only
            return json.dumps(self.body, sort_keys=True).encode()


async def request_of(scope: Any, receive: Any) -> Request:
    message = await receive()
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    return Request(
        method=scope["method"],
        host=headers.get("host", "").partition(":")[0].lower(),
        path=scope["path"],
        query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        headers=headers,
        body=message.get("body", b""),
        gone=gone,
    )


async def before(faults: Faults, fault: Fault, gone: Callable[[], Awaitable[Any]]) -> Reply | None:
    """What a fault does instead of the work; None where the work is done all the same. Raises HangUp."""
    if fault.kind == "throttle":
        return Reply(429, {"error": "too many requests"}, {"retry-after": str(fault.retry_after)})
    if fault.kind == "error":
        return Reply(fault.status, {"error": fault.code})
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
    if fault.when == "before":
        await lose(faults, fault, gone)
    return None


async def after(faults: Faults, fault: Fault, gone: Callable[[], Awaitable[Any]]) -> None:
    """What a fault does once the work is done. Raises HangUp."""
    if fault.when == "after":
        await lose(faults, fault, gone)


async def lose(faults: Faults, fault: Fault, gone: Callable[[], Awaitable[Any]]) -> None:
    """Close the connection without an answer; for a timeout, after a silence."""
    if fault.kind == "timeout":
        await silence(faults, fault, gone)
    if fault.kind in ("drop", "timeout"):
        raise HangUp


async def silence(faults: Faults, fault: Fault, gone: Callable[[], Awaitable[Any]]) -> None:
    """Say nothing for the fault's time, or until the caller has gone or the fault is removed."""
    until = time.monotonic() + fault.seconds
    leaving = asyncio.ensure_future(gone())
    try:
        while time.monotonic() < until and not leaving.done():
            if await asyncio.to_thread(faults.wait_removed, fault, LOOK_EVERY_S):
                return
    finally:
        leaving.cancel()
