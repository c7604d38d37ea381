"""Any web API, at hosts that the connection allows."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import httpx
from pydantic import BaseModel

from connectors.base import Connector, Environment, PermissionReport, Rate, Text
from connectors.errors import Rejected
from connectors.http.actions.request_get import GetRequest
from connectors.http.actions.request_send import SendRequest
from connectors.http.client import HttpClient
from connectors.http.config import HttpConfig
from connectors.web import refusal

PROBE_S = 20.0
# What a front page that nobody asked for may still say about the sign-in: of all else nothing follows.
TELLING = (401, 403, 407, 429)
PROBE_BYTES = 64 * 1024


class Http(Connector):
    """The manifest."""

    id = "http"
    title = Text("Web API (HTTP)", "API web (HTTP)")
    icon = "globe"
    Config: ClassVar[type[BaseModel]] = HttpConfig
    actions = (GetRequest, SendRequest)
    rate = Rate(per_s=10, burst=20)
    address_fields = ("hosts", "probe")

    def open(self, client_id: UUID, config: BaseModel, environment: Environment) -> HttpClient:
        if not isinstance(config, HttpConfig):
            raise TypeError("the configuration is not one of HTTP")
        return HttpClient(client_id, config, environment)

    def destinations(self, config: Any) -> frozenset[str]:
        return frozenset(f"{entry.origin} {entry.below}" for entry in config.allowed)

    async def test(self, client: Any) -> PermissionReport:
        """Ask the address to try. Where the connection names none, any answer but a refusal is good."""
        asked = client.url(client.probe, {})
        answer, _ = await client.read("GET", asked, {}, timeout_s=PROBE_S, max_bytes=PROBE_BYTES)
        if answer.status >= 400 and (client.probe_named or answer.status >= 500 or answer.status in TELLING):
            error = refusal(answer, f"GET {client.probe}", client.hidden(answer.text), write=False)
            raise Rejected(error.message, code=error.code, field="probe") if error.field == "url" else error
        granted = ("http.read",) if client.read_only else ("http.read", "http.write")
        return PermissionReport(
            tenant=_origin(asked),
            tenant_name=_origin(asked),
            granted=granted,
            missing=("http.write",) if client.read_only else (),
        )


def _origin(url: httpx.URL) -> str:
    """The host that was asked, as the tenant that the connection leads to."""
    return url.netloc.decode("ascii")
