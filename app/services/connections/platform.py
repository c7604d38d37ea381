"""Opens a platform for one client: reads the credential from the vault at the moment of use, and audits that it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError
from sqlmodel import col, select

from app.core import metrics
from app.core.context import Context
from app.core.crypto import Undecipherable
from app.core.errors import Invalid, Missing, OpsloomError, Problem, Unavailable
from app.core.settings import get_settings
from app.data.models.connections import Connection
from app.data.repositories import audit
from app.data.session import tenant_session
from app.data.vault import Part, get_vault
from app.engine.runtime.clients import replaced
from connectors import registry
from connectors.base import Client, Connector, Environment
from connectors.errors import AuthFailed, ConnectorError, Retryable, Throttled


class PlatformRefused(OpsloomError):
    """The platform could not be asked, or said no."""

    status = 502
    code = "platform_refused"

    def __init__(self, error: ConnectorError) -> None:
        problem = Problem(error.code, error.message, field=error.field)
        super().__init__(error.message, code=error.code, params={"remedy": type(error).__name__}, problems=[problem])
        if isinstance(error, Throttled):
            self.params["retry_after"] = error.retry_after


def connector_of(platform: str) -> Connector:
    """The connector of ``platform``. Raises Invalid where there is none."""
    try:
        return registry.connector(platform)
    except KeyError:
        message = f"There is no platform called {platform}."
        known = ", ".join(registry.CONNECTORS)
        problem = Problem("platform_unknown", message, field="platform", params={"known": known})
        raise Invalid(message, problems=[problem]) from None


def environment_of(platform: str) -> Environment:
    """The deployment's endpoint overrides, the networks it opens, and the metric of every call."""
    settings = get_settings()
    overrides = settings.endpoints.get(platform, {})
    return Environment(endpoints=overrides, observe=_observe, networks=tuple(map(str, settings.private_networks)))


def _observe(platform: str, operation: str, seconds: float, outcome: str) -> None:
    metrics.external_api_call_duration.labels(platform, operation, outcome).observe(seconds)


def checked_config(connector: Connector, values: Mapping[str, Any]) -> BaseModel:
    """``values`` as the platform's configuration. Raises Invalid naming each wrong field; no value is repeated."""
    try:
        return connector.Config.model_validate(dict(values))
    except ValidationError as error:
        problems = [_problem(each) for each in error.errors(include_input=False, include_url=False)]
        raise Invalid("The connection's settings are wrong.", code="config_invalid", problems=problems) from None


def _problem(each: Mapping[str, Any]) -> Problem:
    plainly = _PLAINLY.get(each["type"], str(each["msg"]))
    message = plainly.format_map(each.get("ctx", {})) if each["type"] in _PLAINLY else plainly
    return Problem(_code(each), message, field=".".join(["config", *map(str, each["loc"])]))


# The library's words are a programmer's. A regular expression tells nobody what to type; the field's own help does.
_PLAINLY = {
    "missing": "This setting is missing.",
    "extra_forbidden": "There is no such setting.",
    "too_short": "This setting has at least {min_length} characters.",
    "string_too_short": "This setting has at least {min_length} characters.",
    "string_too_long": "This setting has at most {max_length} characters.",
    "string_pattern_mismatch": "This setting does not have the form that the platform gives it.",
}


def _code(error: Mapping[str, Any]) -> str:
    """What the connector calls the mistake (:func:`connectors.base.refused`), if it has a name for it."""
    return str(error.get("ctx", {}).get("code", "config_invalid"))


def split(connector: Connector, config: BaseModel) -> tuple[dict[str, Any], dict[str, str]]:
    """What the row holds, and what the vault holds."""
    secret = connector.secret_fields()
    plain = config.model_dump(mode="json", exclude=set(secret), exclude_none=True)
    return plain, {name: getattr(config, name).get_secret_value() for name in secret}


async def open_client(
    context: Context,
    alias: str,
    connection_id: UUID | None = None,
    throttled: Callable[[float], None] | None = None,
) -> Client:
    """The platform that the context's client connects under ``alias``, by the connection of that id where one is named.
    It tells ``throttled`` for how many seconds the platform asks to be left alone, from any thread.

    Raises AuthFailed where there is no such connection or its credential is not there, Rejected where the alias is
    another connection's by now, Retryable where the vault does not answer: errors that a run can show on its step.
    """
    row = await find_by_alias(context, alias)
    if row is not None and connection_id not in (None, row.id):
        raise replaced(alias)
    if row is None:
        raise AuthFailed(f"There is no connection called {alias}.", code="no_connection", field="connection")
    try:
        return await open_connection(context, row, purpose=context.actor.via, throttled=throttled)
    except Unavailable as error:
        raise Retryable(error.message, code="vault_unavailable") from error


async def find_by_alias(context: Context, alias: str) -> Connection | None:
    """The client's connection of that alias, or None."""
    async with tenant_session(context) as session:
        query = select(Connection).where(
            Connection.client_id == context.client_id,
            Connection.alias == alias,
            col(Connection.removed_at).is_(None),
        )
        return (await session.exec(query)).first()


async def open_connection(
    context: Context, row: Connection, *, purpose: str, throttled: Callable[[float], None] | None = None
) -> Client:
    """A client of the platform, with the credential read now. Raises AuthFailed, Unavailable."""
    try:
        credential = await get_vault(_part(context)).get_credential(context.client_id, row.platform, row.id)
        connector = connector_of(row.platform)
        environment = replace(environment_of(row.platform), throttled=throttled)
        client = connector.open(context.client_id, checked_config(connector, {**row.config, **credential}), environment)
    except (Missing, Undecipherable, Invalid) as error:
        await _audit(context, row, purpose, reason=type(error).__name__)
        raise AuthFailed("The credential of this connection is not there.", code="credential_missing") from error
    except Unavailable as error:
        await _audit(context, row, purpose, reason=error.code)
        raise
    if client.client_id != context.client_id:
        raise AssertionError("a connector opened another client's platform")
    await _audit(context, row, purpose)
    return client


def _part(context: Context) -> Part:
    return "worker" if context.actor.account_id is None and context.actor.name == "worker" else "web"


async def _audit(context: Context, row: Connection, purpose: str, reason: str | None = None) -> None:
    details = {"platform": row.platform, "alias": row.alias, "purpose": purpose}
    async with tenant_session(context) as session:
        await audit.record(
            session,
            context,
            action="credential_access_failed" if reason else "credential_accessed",
            target=f"connection:{row.id}",
            outcome="failure" if reason else "success",
            details={**details, "reason": reason} if reason else details,
        )
