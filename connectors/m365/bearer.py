"""Our sign-in as the SDK's access token provider. Imported only when a client is used: it imports the SDK."""

from __future__ import annotations

from typing import Any

from kiota_abstractions.authentication import AccessTokenProvider, AllowedHostsValidator

from connectors.m365.signin import SignIn


class Bearer(AccessTokenProvider):
    """Gives the token to requests to ``host`` and to no other."""

    def __init__(self, sign_in: SignIn, host: str) -> None:
        self._sign_in = sign_in
        self._hosts = AllowedHostsValidator([host])

    async def get_authorization_token(
        self, uri: str, additional_authentication_context: dict[str, Any] | None = None
    ) -> str:
        """The token, or nothing for a foreign host. A claims challenge means that the token is no longer good."""
        if not self._hosts.is_url_host_valid(uri):
            return ""
        if additional_authentication_context:
            await self._sign_in.forget()
        return await self._sign_in.token()

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return self._hosts
