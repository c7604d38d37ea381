"""Signing in to Entra ID as an application, and reading what the token allows."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from connectors.base import Json
from connectors.errors import ConnectorError, Retryable
from connectors.m365.config import M365Config
from connectors.m365.errors import sign_in_refused

if TYPE_CHECKING:
    from azure.identity import ClientSecretCredential

SCOPE = "https://graph.microsoft.com/.default"
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 20


class SignIn:
    """One application's sign-in to one tenant. Tokens are kept in memory until they end or are forgotten."""

    def __init__(self, config: M365Config, endpoints: Mapping[str, str]) -> None:
        self._config = config
        self._endpoints = endpoints
        self._credential: ClientSecretCredential | None = None
        self._answer: tuple[int | None, Mapping[str, str]] = (None, {})
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """An access token for Microsoft Graph. Raises ``AuthFailed``, ``Throttled`` or ``Retryable``."""
        async with self._lock:
            return await asyncio.to_thread(self._token)

    async def forget(self) -> None:
        """Sign in afresh at the next call."""
        async with self._lock:
            await asyncio.to_thread(self._close)

    def _token(self) -> str:
        from azure.core.exceptions import AzureError

        self._answer = (None, {})
        try:
            if self._credential is None:
                self._credential = self._make()
            return str(self._credential.get_token(SCOPE).token)
        except (AzureError, ValueError) as error:
            # The library remembers a failure for a minute and repeats it without asking; a new one asks.
            self._close()
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> ConnectorError:
        """What an error of the library means; where Entra did not refuse, it is the way there that failed."""
        status, headers = self._answer
        if (status is None or status < 400) and not isinstance(error, ValueError):
            return Retryable("Entra ID could not be reached; nothing was changed.", details={"operation": "sign in"})
        return sign_in_refused(str(getattr(error, "message", error)), status, headers)

    def _make(self) -> ClientSecretCredential:
        from azure.identity import ClientSecretCredential

        options: Json = {"retry_total": 0, "raw_response_hook": self._note}
        options |= {"connection_timeout": CONNECT_TIMEOUT_S, "read_timeout": READ_TIMEOUT_S}
        if authority := self._endpoints.get("authority"):
            # Instance discovery would ask Microsoft whether it knows the simulator.
            options |= {"authority": authority, "disable_instance_discovery": True}
        if ca_file := self._endpoints.get("ca_file"):
            options["connection_verify"] = ca_file
        secret = self._config.client_secret.get_secret_value()
        return ClientSecretCredential(self._config.tenant_id, self._config.client_id, secret, **options)

    def _note(self, response: Any) -> None:
        """The sign-in library swallows status and Retry-After of a refusal; keep them."""
        answer = response.http_response
        self._answer = (answer.status_code, {name.lower(): value for name, value in answer.headers.items()})

    def _close(self) -> None:
        if self._credential is not None:
            self._credential.close()
        self._credential = None


def claims(token: str) -> Json:
    """What an access token says of itself. It is ours, straight from Entra over TLS: nothing is verified here."""
    payload = token.split(".")[1]
    found: Json = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found
