"""The link to one client's web API: what the actions call."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from time import perf_counter
from typing import Any
from uuid import UUID

import httpcore
import httpx

from connectors.base import Attempt, Environment
from connectors.errors import ConnectorError, Rejected, Retryable
from connectors.hiding import Veil
from connectors.http.config import HttpConfig
from connectors.net import AddressRefused, Guard, Resolver, system_resolver
from connectors.web import Answer, Web, url_of

AGENT = "Opsloom"
REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5
# An attempt with less time left is not begun.
LEAST_S = 2.0


class HttpClient:
    """Sends requests to the allowed hosts and to no other, signed in where the connection says how."""

    def __init__(
        self,
        client_id: UUID,
        config: HttpConfig,
        environment: Environment,
        *,
        resolver: Resolver = system_resolver,
        backend: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self.client_id = client_id
        self.read_only = config.read_only
        self.probe, self.probe_named = config.probe_address, bool(config.probe)
        self._config, self._allowed = config, config.allowed
        self._veil = Veil(config.secret.get_secret_value(), *([self._basic()] if config.sign_in == "basic" else []))
        self._now = environment.now or (lambda: datetime.now(UTC))
        self._observe = environment.observe
        self._web = Web(Guard(environment.networks, resolver), environment.endpoints, backend)

    def url(self, text: str, query: Mapping[str, str]) -> httpx.URL:
        """``text`` with ``query`` added, if a request may go there. Raises Rejected."""
        url = url_of(text, "url")
        if not any(entry.admits(url) for entry in self._allowed):
            raise Rejected(
                f"{url.scheme}://{url.netloc.decode('ascii')} is not among the hosts that this connection allows.",
                code="host_not_allowed",
                field="url",
            )
        return url.copy_merge_params(dict(query)) if query else url

    async def read(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], *, timeout_s: float, max_bytes: int
    ) -> tuple[Answer, httpx.URL]:
        """One read, its redirects followed inside the allowed hosts. Gives the last answer and its address.

        The credential and the step's own headers stay with the host that was asked first.
        """
        first, given = url, _merged(self._config.headers, headers, self._credential())
        for _ in range(MOST_REDIRECTS + 1):
            answer = await self._observed(method, url, given, b"", False, timeout_s, max_bytes)
            if answer.status not in REDIRECTS or "location" not in answer.headers:
                return answer, url
            url = self._next(url, answer.headers["location"])
            if _origin(url) != _origin(first):
                given = _merged(self._config.headers)
        raise Rejected("The address was redirected too often.", code="too_many_redirects", field="url")

    def _next(self, url: httpx.URL, location: str) -> httpx.URL:
        """Where a redirect leads, judged as the first address was."""
        try:
            return self.url(str(url.join(location)), {})
        except (httpx.InvalidURL, UnicodeError, Rejected) as error:
            why = error.message if isinstance(error, Rejected) else "It is no web address."
            message = f"The answer redirects elsewhere. {self.hidden(why)}"
            raise AddressRefused(message, code="redirect_refused", field="url") from None

    async def write(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes, attempt: Attempt, *,
        timeout_s: float | None, max_bytes: int,
    ) -> Answer:  # fmt: skip
        """One request that changes something, sent once and never after the attempt's deadline, and awaited until then
        unless ``timeout_s`` is less. No redirect is followed: the first host may have acted."""
        left = (attempt.deadline - self._now()).total_seconds()
        if left < LEAST_S:
            raise Retryable("Too little time was left for this attempt; nothing was sent.", code="deadline")
        given = _merged(self._config.headers, headers, self._credential(), {"Idempotency-Key": attempt.key})
        return await self._observed(method, url, given, body, True, min(timeout_s or left, left), max_bytes)

    def hidden(self, text: str) -> str:
        """``text`` of an answer without our own credential: some servers repeat what they were sent."""
        return self._veil.text(text)

    def hidden_json(self, value: Any) -> Any:
        """The same of an answer that was read as JSON."""
        return self._veil.json(value)

    async def aclose(self) -> None:
        await self._web.aclose()

    async def _observed(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes, write: bool, timeout_s: float,
        max_bytes: int,
    ) -> Answer:  # fmt: skip
        started, outcome = perf_counter(), "cancelled"
        try:
            answer = await self._web.send(
                method, url, headers, body, write=write, timeout_s=timeout_s, max_bytes=max_bytes
            )
            outcome = str(answer.status)
            return answer
        except ConnectorError as error:
            outcome = error.code
            raise
        finally:
            if self._observe:
                self._observe("http", method, perf_counter() - started, outcome)

    def _credential(self) -> dict[str, str]:
        secret = self._config.secret.get_secret_value()
        match self._config.sign_in:
            case "bearer":
                return {"Authorization": f"Bearer {secret}"}
            case "basic":
                return {"Authorization": f"Basic {self._basic()}"}
            case "header":
                return {self._config.header: secret}
        return {}

    def _basic(self) -> str:
        pair = f"{self._config.username}:{self._config.secret.get_secret_value()}"
        return base64.b64encode(pair.encode()).decode("ascii")


def _merged(*parts: Mapping[str, str]) -> dict[str, str]:
    """Headers one over the other, whatever the case of their names; the last word is the connection's credential."""
    return {name.lower(): value for part in ({"user-agent": AGENT}, *parts) for name, value in part.items()}


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port
