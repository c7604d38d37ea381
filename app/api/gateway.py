"""Puts pages and API on one port, and around the pages what a browser should be told.

The inline scripts of a page (Reflex's router writes some) are allowed by their hashes, computed from the page that is
sent, so that no other inline script runs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.proxies import with_sender
from app.api.routes.sign_in import drop_cookie, set_cookie
from app.core.errors import NotSignedIn, OpsloomError
from app.core.settings import get_settings
from app.services import auth

API_PATHS = ("/api/", "/reveal/", "/healthz", "/readyz", "/metrics")
_SCRIPT = re.compile(rb"<script(?P<attributes>[^>]*)>(?P<text>.*?)</script>", re.DOTALL | re.IGNORECASE)
# Files that are named by what is in them: a browser never has to ask for one again.
BUILT = "/assets/"
PAGE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def gateway(api: ASGIApp) -> Callable[[ASGIApp], ASGIApp]:
    """For Reflex's ``api_transformer``: gives the application that serves ``api`` and the pages."""

    def beside(pages: ASGIApp) -> ASGIApp:
        wrapped = Pages(pages)

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            is_api = scope["type"] == "http" and scope["path"].startswith(API_PATHS)
            await (api if is_api else wrapped)(with_sender(scope), receive, send)

        return serve

    return beside


class Pages:
    """Around the pages: headers, a policy for scripts, and the renewal of the session's cookie at a page load."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not is_page_load(scope, headers):
            await self._app(scope, receive, _with_headers(send, scope["path"]))
            return
        if elsewhere := _proper_address(scope, headers):
            await RedirectResponse(elsewhere, 307)(scope, receive, send)
            return
        renewal = await _renew(scope, headers)
        await self._app(_uncompressed(scope), receive, _PageAnswer(send, renewal))


def is_page_load(scope: Scope, headers: Headers) -> bool:
    """Whether a browser opens a page, as opposed to fetching what belongs to one."""
    wanted = headers.get("sec-fetch-dest")
    if scope["method"] not in ("GET", "HEAD"):
        return False
    return wanted == "document" if wanted else "text/html" in headers.get("accept", "")


def _proper_address(scope: Scope, headers: Headers) -> str | None:
    """Where the address is another name of this very machine, the same page under the name that the cookie is for."""
    base = urlsplit(get_settings().base_url)
    host = headers.get("host", "").partition(":")[0]
    if base.hostname == "localhost" and host in ("127.0.0.1", "[::1]", "[") and scope["path"].startswith("/"):
        query = scope.get("query_string", b"").decode("latin-1")
        path = scope["path"].replace("\\", "/")
        return f"{base.scheme}://{base.netloc}/{path.lstrip('/')}" + (f"?{query}" if query else "")
    return None


async def _renew(scope: Scope, headers: Headers) -> Response | None:
    """An answer whose cookie headers the page's answer takes over; None where the cookie stays as it is."""
    token = _cookie(headers)
    if token is None:
        return None
    client = scope.get("client")
    answer = Response()
    try:
        signed = await auth.renew_session(token, client[0] if client else None, headers.get("user-agent"))
    except NotSignedIn:
        drop_cookie(answer)
        return answer
    except OpsloomError:
        return None
    if signed is None:
        return None
    set_cookie(answer, signed.token)
    return answer


def _cookie(headers: Headers) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(auth.SESSION_COOKIE)
    except CookieError:
        return None
    return found.value if found and found.value else None


def _uncompressed(scope: Scope) -> Scope:
    """The page itself is small and its scripts are to be read: ask for it as it is, and not by its file's name."""
    kept = [(name, value) for name, value in scope["headers"] if name.lower() != b"accept-encoding"]
    extensions = {name: value for name, value in (scope.get("extensions") or {}).items() if "pathsend" not in name}
    return {**scope, "headers": kept, "extensions": extensions}


def _with_headers(send: Send, path: str) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            _add_page_headers(headers)
            if path.startswith(BUILT) and message["status"] == 200:
                headers["Cache-Control"] = "public, max-age=31536000, immutable"
        await send(message)

    return answer


def _add_page_headers(headers: MutableHeaders) -> None:
    for name, value in PAGE_HEADERS.items():
        headers.setdefault(name, value)
    if get_settings().base_url.startswith("https:"):
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")


class _PageAnswer:
    """Holds a page's answer back until all of it is there, then sends it with its policy and the cookie."""

    def __init__(self, send: Send, renewal: Response | None) -> None:
        self._send = send
        self._renewal = renewal
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message["type"] != "http.response.body" or self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        headers = MutableHeaders(scope=self._start)
        _add_page_headers(headers)
        if headers.get("content-type", "").startswith("text/html"):
            headers["Content-Security-Policy"] = policy(bytes(self._body))
            headers["Cache-Control"] = "no-cache"
        for name, value in self._renewal.raw_headers if self._renewal else ():
            if name == b"set-cookie":
                headers.append("set-cookie", value.decode("latin-1"))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": bytes(self._body)})


@lru_cache(maxsize=64)
def policy(html: bytes) -> str:
    """The content security policy of a page."""
    hashes = " ".join(f"'sha256-{each}'" for each in inline_hashes(html))
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {hashes}".rstrip(),
            "style-src 'self' 'unsafe-inline'",  # React and Radix set styles on elements
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' {_socket_origin()}".rstrip(),
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _socket_origin() -> str:
    """The websocket's address: older browsers do not count it as 'self'."""
    base = urlsplit(get_settings().base_url)
    return f"{'wss' if base.scheme == 'https' else 'ws'}://{base.netloc}"


def inline_hashes(html: bytes) -> list[str]:
    """SHA-256 of each inline script, base64, in order and without repetition."""
    found = [
        base64.b64encode(hashlib.sha256(each["text"]).digest()).decode()
        for each in _SCRIPT.finditer(html)
        if b"src=" not in each["attributes"].lower()
    ]
    return list(dict.fromkeys(found))
