"""Signing in as Entra ID does it for applications: tokens for client credentials, and the metadata around them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.m365.simulator.errors import invalid_token
from connectors.m365.simulator.state import Tenant
from connectors.m365.simulator.wire import Answer, Json, Request

AUDIENCE = "https://graph.microsoft.com"
LIFETIME = 3599


@dataclass(frozen=True)
class Caller:
    """Who a valid token speaks for."""

    tenant_id: str
    client_id: str
    roles: frozenset[str]


def metadata(base: str, tenant: str) -> Answer:
    """OpenID Connect's discovery document, as the sign-in library asks for it."""
    root = f"{base}/{tenant}"
    return Answer(
        200,
        {
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{root}/discovery/v2.0/keys",
            "issuer": f"{root}/v2.0",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
        },
    )


class Tokens:
    """Issues and reads access tokens. ``lifetime`` is in seconds; ``key`` signs them."""

    def __init__(self, key: bytes, lifetime: int = LIFETIME) -> None:
        self._key = key
        self.lifetime = lifetime

    def issue(self, caller: Caller, now: float) -> str:
        claims = {
            "aud": AUDIENCE,
            "iss": f"https://sts.windows.net/{caller.tenant_id}/",
            "iat": int(now),
            "nbf": int(now),
            "exp": now + self.lifetime,
            "appid": caller.client_id,
            "idtyp": "app",
            "roles": sorted(caller.roles),
            "tid": caller.tenant_id,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        head = _encode({"typ": "JWT", "alg": "HS256"})
        signed = f"{head}.{_encode(claims)}"
        return f"{signed}.{self._sign(signed)}"

    def read(self, headers: Mapping[str, str], now: float) -> Caller:
        """The caller of a request. Raises Graph's 401 where the token is missing, forged or too old."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise invalid_token("Access token is empty.")
        signed, _, signature = token.rpartition(".")
        if token.count(".") != 2:
            raise invalid_token("IDX14100: JWT is not well formed, there are no dots (.).")
        if not hmac.compare_digest(self._sign(signed), signature):
            raise invalid_token("Access token validation failure. Signature is invalid.")
        claims = json.loads(_decode(signed.partition(".")[2]))
        if claims["exp"] <= now:
            raise invalid_token("Lifetime validation failed, the token is expired.")
        return Caller(claims["tid"], claims["appid"], frozenset(claims["roles"]))

    def _sign(self, text: str) -> str:
        mac = hmac.new(self._key, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def token_answer(request: Request, tenant: Tenant | None, name: str, tokens: Tokens, now: float) -> Answer:
    """The answer of the token endpoint of the tenant that was asked for as ``name``."""
    form = _credentials(request)
    if tenant is None:
        return _refusal(
            400, "invalid_request", 90002,
            f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into the "
            "correct cloud. Check with your subscription administrator, this may happen if there are no active "
            "subscriptions for the tenant.",
        )  # fmt: skip
    for needed in ("grant_type", "client_id", "scope"):
        if not form.get(needed):
            return _refusal(400, "invalid_request", 900144,
                            f"The request body must contain the following parameter: '{needed}'.")  # fmt: skip
    if form["grant_type"] != "client_credentials":
        return _refusal(400, "unsupported_grant_type", 70003,
                        f"The app requested an unsupported grant type '{form['grant_type']}'.")  # fmt: skip
    app = tenant.apps.get(form["client_id"])
    if app is None:
        return _refusal(
            400, "unauthorized_client", 700016,
            f"Application with identifier '{form['client_id']}' was not found in the directory "
            f"'{tenant.display_name}'. This can happen if the application has not been installed by the administrator "
            "of the tenant or consented to by any user in the tenant.",
        )  # fmt: skip
    if not form.get("client_secret"):
        return _refusal(401, "invalid_client", 7000216,
                        "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' "
                        "grant type.")  # fmt: skip
    if not app.accepts(form["client_secret"]):
        return _refusal(
            401, "invalid_client", 7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
            f"not the client secret ID, for a secret added to app '{app.client_id}'.",
        )  # fmt: skip
    scope = form["scope"].removesuffix("/.default")
    if scope == form["scope"]:
        return _refusal(400, "invalid_scope", 1002012,
                        f"The provided value for scope {form['scope']} is not valid. Client credential flows must "
                        "have a scope value with /.default suffixed to the resource identifier.")  # fmt: skip
    if scope != AUDIENCE:
        return _refusal(400, "invalid_resource", 500011,
                        f"The resource principal named {scope} was not found in the tenant named "
                        f"{tenant.display_name}.")  # fmt: skip
    token = tokens.issue(Caller(tenant.id, app.client_id, frozenset(app.roles)), now)
    lifetime = tokens.lifetime
    return Answer(
        200, {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}
    )


def passing(status: int, headers: dict[str, str]) -> Answer:
    """Entra's answer when it is asked too often, or is having a fault of its own."""
    number = 90055 if status == 429 else 90033
    said = "The server has terminated this request due to excessive request rate." if status == 429 else (
        "A transient error has occurred. Please try again."
    )  # fmt: skip
    answer = _refusal(status, "temporarily_unavailable", number, said)
    answer.headers.update(headers)
    return answer


def _credentials(request: Request) -> dict[str, str]:
    """The posted form, with client id and secret out of HTTP Basic where they came so."""
    form = request.form()
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        name, _, secret = base64.b64decode(value).decode().partition(":")
        form |= {"client_id": name, "client_secret": secret}
    return form


def _refusal(status: int, error: str, number: int, message: str) -> Answer:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    description = f"AADSTS{number}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
    body: Json = {
        "error": error,
        "error_description": description,
        "error_codes": [number],
        "timestamp": now,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={number}",
    }
    return Answer(status, body)


def _encode(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
