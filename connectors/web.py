"""HTTP to addresses that a client chose: to judged addresses only, within a size and a time, and its errors by remedy.

What :mod:`connectors.http` and :mod:`connectors.webhook` share. Nothing is taken from the environment (proxies, netrc),
no cookie is kept, no redirect is followed and nothing is repeated: whoever calls decides.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from connectors.errors import (
    AuthFailed,
    Conflict,
    ConnectorError,
    NotFound,
    OutcomeUnknown,
    Rejected,
    Retryable,
    Throttled,
)
from connectors.net import Guard, host_of

CONNECT_S = 10.0
DEFAULT_RETRY_AFTER_S = 5.0
MOST_RETRY_AFTER_S = 3600.0
EXCERPT = 300
PORTS = {"http": 80, "https": 443}
NOTHING_SENT = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout, httpcore.UnsupportedProtocol)
NO_ANSWER = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)


@dataclass(frozen=True)
class Answer:
    """What came back.

    ``headers`` have lower-case names. ``complete`` is False where the body was too large or cut off.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    complete: bool = True

    @property
    def text(self) -> str:
        """The body as text, in the encoding that it names; in UTF-8 where that is none, or none for whole texts."""
        _, _, charset = self.headers.get("content-type", "").partition("charset=")
        try:
            return sound(self.body.decode(charset.split(";")[0].strip(" \"'") or "utf-8", "replace"))
        except (LookupError, ValueError):
            return self.body.decode("utf-8", "replace")


def sound(text: str) -> str:
    """``text`` without halves of letters (unpaired surrogates), which no text that is sent on can hold."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def url_of(text: str, name: str) -> httpx.URL:
    """``text`` as an address of the web, its host in the one form that is compared. Raises Rejected for ``name``.

    The same object is judged and connected to, so that no second reading of the text can lead elsewhere.
    """
    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise Rejected("This is no web address.", code="invalid_address", field=name) from None
    if url.scheme not in PORTS or not url.host:
        raise Rejected("An address begins with https:// and names a host.", code="invalid_address", field=name)
    if "\\" in text or any(ord(sign) <= 32 for sign in text.strip()):
        raise Rejected("An address has no spaces in it: give values as its query.", code="invalid_address", field=name)
    if url.userinfo:
        raise Rejected("Credentials do not belong in an address.", code="invalid_address", field=name)
    return url.copy_with(host=host_of(url.raw_host.decode("ascii")), fragment=None)


def name_of(url: httpx.URL) -> str:
    """The host as it is resolved and compared (``xn--…`` where it has other letters than those of ASCII)."""
    return url.raw_host.decode("ascii")


def port_of(url: httpx.URL) -> int:
    return url.port or PORTS[url.scheme]


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that the guard has judged, never to a name. TLS still names and checks the host."""

    def __init__(self, guard: Guard, inner: httpcore.AsyncNetworkBackend | None = None) -> None:
        self._guard, self._inner = guard, inner or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failed: Exception | None = None
        for address in await self._guard.addresses(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore.ConnectError("no address")

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("not a network address")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class Web:
    """Sends single requests. ``overrides`` are the deployment's own: a host's name to an address that stands for it.

    Connections are not kept: each request is resolved and judged afresh.
    """

    def __init__(
        self,
        guard: Guard,
        overrides: Mapping[str, str],
        inner: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._overrides = dict(overrides)
        context = _authorities(self._overrides.pop("ca_file", None))
        kept_none = {"ssl_context": context, "max_keepalive_connections": 0, "max_connections": 20}
        self._guarded = httpcore.AsyncConnectionPool(network_backend=PinnedBackend(guard, inner), **kept_none)
        self._vouched = httpcore.AsyncConnectionPool(**kept_none)

    async def send(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        write: bool,
        timeout_s: float,
        max_bytes: int,
    ) -> Answer:
        """One request and its answer, whatever its status.

        Raises AddressRefused or Retryable where surely nothing was sent; where no answer came, OutcomeUnknown for a
        write and Retryable for a read.
        """
        sent = f"{method} {name_of(url)}"
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(method, url, headers, body, max_bytes)
        except NOTHING_SENT as error:
            raise _unreachable(url, error) from None
        except (*NO_ANSWER, TimeoutError) as error:
            details = {"error": type(error).__name__}
            if write:
                raise OutcomeUnknown(f"{sent} was sent and no answer came.", details=details) from None
            raise Retryable(f"{sent} was not answered.", details=details) from None

    async def _exchange(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes, max_bytes: int
    ) -> Answer:
        pool, address = self._way(url)
        given = [(b"host", url.netloc), (b"accept-encoding", b"gzip, identity")]
        given += [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
        if body or method in ("POST", "PUT", "PATCH"):
            given.append((b"content-length", str(len(body)).encode()))
        timeouts = {"connect": CONNECT_S, "pool": CONNECT_S}
        async with pool.stream(
            method, address, headers=given, content=body, extensions={"timeout": timeouts, "sni_hostname": name_of(url)}
        ) as response:
            found = _headers(response.headers)
            content, complete = await _bounded(response.aiter_stream(), found.get("content-encoding", ""), max_bytes)
            return Answer(response.status, found, content, complete)

    def _way(self, url: httpx.URL) -> tuple[httpcore.AsyncConnectionPool, httpcore.URL]:
        """The pool that may connect, and the address: the deployment's where it stands in for the host."""
        override = self._overrides.get(name_of(url))
        if override is None:
            return self._guarded, httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=port_of(url), target=url.raw_path
            )
        instead = urlsplit(override)
        return self._vouched, httpcore.URL(
            scheme=instead.scheme, host=instead.hostname or "", port=instead.port, target=url.raw_path
        )

    async def aclose(self) -> None:
        await self._guarded.aclose()
        await self._vouched.aclose()


@lru_cache(maxsize=4)
def _authorities(ca_file: str | None) -> ssl.SSLContext:
    context = httpcore.default_ssl_context()
    context.load_default_certs()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


async def _bounded(chunks: AsyncIterator[bytes], encoding: str, max_bytes: int) -> tuple[bytes, bool]:
    """The body up to ``max_bytes`` once unpacked, and whether that is all of it. A packed body never grows past it."""
    unpack = zlib.decompressobj(wbits=47) if encoding.lower() in ("gzip", "deflate") else None
    parts: list[bytes] = []
    size = 0
    try:
        async for chunk in chunks:
            part = unpack.decompress(chunk, max_bytes - size + 1) if unpack else chunk
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                return b"".join(parts)[:max_bytes], False
    except (*NO_ANSWER, zlib.error):
        return b"".join(parts), False
    return b"".join(parts), True


def _unreachable(url: httpx.URL, error: Exception) -> ConnectorError:
    """Nothing was sent. A certificate that is wrong stays so; everything else may pass."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message
            return Rejected(f"The certificate of {name_of(url)} was not accepted: {why}.", code="certificate_refused")
        cause = cause.__cause__ or cause.__context__
    details = {"error": type(error).__name__}
    return Retryable(f"{name_of(url)} could not be reached; nothing was sent.", details=details)


def refusal(answer: Answer, what: str, excerpt: str, *, write: bool) -> ConnectorError:
    """An answer whose status was not wanted, by its remedy. ``excerpt`` is what of its body may be shown."""
    details: dict[str, Any] = {"status": answer.status, "answer": excerpt[:EXCERPT]}
    said = f"{what} was answered with status {answer.status}"
    match answer.status:
        case 429:
            wait = retry_after(answer.headers)
            return Throttled(f"{what} was answered with: too many requests.", retry_after=wait, details=details)
        case 401 | 407:
            return AuthFailed(f"{what}: the credentials were refused.", details=details)
        case 403:
            return AuthFailed(f"{what}: the credentials lack a permission.", code="missing_permission", details=details)
        case 404 | 410:
            return NotFound(f"{what}: there is nothing at this address.", field="url", details=details)
        case 409 | 412:
            return Conflict(f"{said}: something is in the way.", details=details)
        case 503:
            return _paused(answer, said, details)
    if answer.status >= 500 or answer.status in (302, 303, 408):
        unclear = f"{said}; whether anything was done is not known."
        return OutcomeUnknown(unclear, details=details) if write else Retryable(f"{said}.", details=details)
    return Rejected(f"{said}.", code="unexpected_status", details=details)


def _paused(answer: Answer, said: str, details: dict[str, Any]) -> ConnectorError:
    """503: the server says before it does anything that it cannot just now, and perhaps for how long."""
    if "retry-after" in answer.headers:
        wait = retry_after(answer.headers)
        return Throttled(f"{said}.", retry_after=wait, code="platform_unavailable", details=details)
    return Retryable(f"{said}.", details=details)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the answer asks us to wait, said as a number or as a moment of its own clock."""
    raw = headers.get("retry-after", "").strip()
    if raw.isascii() and raw.isdigit() and len(raw) < 8:
        return min(float(raw), MOST_RETRY_AFTER_S)
    try:
        moment, now = parsedate_to_datetime(raw), parsedate_to_datetime(headers.get("date", ""))
        return min(max((moment - now).total_seconds(), 0.0), MOST_RETRY_AFTER_S) or DEFAULT_RETRY_AFTER_S
    except (TypeError, ValueError):
        return DEFAULT_RETRY_AFTER_S
