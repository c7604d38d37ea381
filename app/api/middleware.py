"""What happens around every request of the API: a number, a time, a size limit, headers. Plain ASGI, so that streams
stream."""

from __future__ import annotations

import re
import time
from urllib.parse import parse_qsl
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import TooLarge, problem_response
from app.core import metrics
from app.core.errors import Invalid, Missing, Problem
from app.core.logging import bind, unbind
from app.core.storable import REFUSED

PREFIX = "/api/v1"
LARGEST_BODY = 4 * 1024 * 1024
_LARGEST_THROWN_AWAY = 16 * LARGEST_BODY
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
# An answer of the API is data: nothing in it may run, be framed, be guessed at or be kept by a proxy.
API_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Envelope:
    """Gives each request its number, measures it, and sets the headers of its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = _request_id(Headers(scope=scope).get("x-request-id"))
        tokens = bind(request_id=number)
        started, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = number
                for name, value in API_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            _measure(scope, status, time.perf_counter() - started)
            unbind(tokens)


def _request_id(given: str | None) -> str:
    return given if given and _REQUEST_ID.fullmatch(given) else uuid4().hex


def _measure(scope: Scope, status: int, seconds: float) -> None:
    """By the route's template, never by the address: that would be one number for each id.

    The router names a template without the prefix under which it was included.
    """
    template = getattr(scope.get("route"), "path", None)
    prefixed = template and scope["path"].startswith(f"{PREFIX}/") and not template.startswith(PREFIX)
    endpoint = f"{PREFIX}{template}" if prefixed else template or "unknown"
    metrics.api_request_duration.labels(endpoint, scope["method"], str(status)).observe(seconds)


class Addresses:
    """Refuses an address with NUL: no name and no text that is kept has it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "\0" in scope["path"]:
            await problem_response(Missing("page"))(scope, receive, send)
        elif scope["type"] == "http" and b"%00" in scope.get("query_string", b""):
            await problem_response(_with_nul(scope["query_string"]))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _with_nul(query: bytes) -> Invalid:
    given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    problems = [Problem("not_storable", REFUSED, field=name) for name, value in given if "\0" in name + value]
    return Invalid("What was sent is wrong.", problems=problems)


class BodyLimit:
    """Refuses a body that is too large, by what it says of itself and by what comes."""

    def __init__(self, app: ASGIApp, limit: int = LARGEST_BODY) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "0")
        if not said.isdigit() or int(said) > self._limit:
            await self._refuse(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return {"type": "http.disconnect"} if received > self._limit else message

        async def answer(message: Message) -> None:
            if received <= self._limit:
                await send(message)

        try:
            await self._app(scope, counted, answer)
        except ClientDisconnect:
            if received <= self._limit:
                raise
        if received > self._limit:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Throw away what is still coming, up to a point: who is still sending does not read the answer."""
        left = _LARGEST_THROWN_AWAY
        while left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
            if not message.get("more_body"):
                break
        await problem_response(TooLarge(self._limit))(scope, receive, send)
