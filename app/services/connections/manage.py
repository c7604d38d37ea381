"""Adding, testing, changing and removing connections. A credential goes to the vault and is never given back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.core.context import Context
from app.core.errors import Invalid, Missing, Problem
from app.core.ids import new_id
from app.data.models.connections import Connection
from app.data.repositories import audit
from app.data.session import tenant_session
from app.data.vault import get_vault
from app.services.connections import lookup
from app.services.connections.platform import (
    checked_config,
    connector_of,
    environment_of,
    open_connection,
    split,
)
from app.services.connections.views import ConnectionView, TestResult, failed, passed, view_of
from connectors.base import Client, Connector
from connectors.errors import AuthFailed, ConnectorError

_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,39}")


async def list_connections(ctx: Context) -> list[ConnectionView]:
    """The client's connections by name."""
    ctx.require("connection.read")
    async with tenant_session(ctx) as session:
        found = await session.exec(_living(ctx).order_by(func.lower(Connection.name)))
        return [view_of(row) for row in found.all()]


async def get(ctx: Context, connection_id: UUID) -> ConnectionView:
    """One connection. Raises Missing."""
    ctx.require("connection.read")
    async with tenant_session(ctx) as session:
        return view_of(await _row(session, ctx, connection_id))


async def add(
    ctx: Context, *, alias: str, platform: str, name: str, config: Mapping[str, Any], keep_failed: bool = False
) -> ConnectionView:
    """Connect a platform. The credentials are tried first.

    Raises Invalid with each wrong field, also where the platform refuses the credentials; then nothing is stored.
    ``keep_failed`` stores it anyhow, marked as failed.
    """
    ctx.require("connection.write")
    connector = connector_of(platform)
    _check_words(alias, name)
    checked = checked_config(connector, config)
    await _require_free_alias(ctx, alias)
    result = await _try_config(ctx, connector, checked)
    if not result.ok and not keep_failed:
        await _refuse(ctx, alias, platform, result)
    row = _new_row(ctx, connector, checked, alias=alias, name=name.strip(), result=result)
    return await _store(ctx, row, split(connector, checked)[1])


async def _refuse(ctx: Context, alias: str, platform: str, result: TestResult) -> None:
    error = result.error or {}
    details = {"alias": alias, "platform": platform, "reason": error.get("code")}
    await _record(ctx, "connection_add_failed", f"connection:{alias}", outcome="failure", details=details)
    raise refusal(result)


def refusal(result: TestResult) -> Invalid:
    """A failed test as an error that names the field at fault."""
    error = result.error or {}
    field = f"config.{error['field']}" if error.get("field") else "config"
    message = str(error.get("message", "The platform refused these credentials."))
    code = str(error.get("code", "auth_failed"))
    params = {"remedy": error.get("remedy", "AuthFailed")}
    return Invalid(message, code=code, params=params, problems=[Problem(code, message, field=field)])


async def _store(ctx: Context, row: Connection, secret: Mapping[str, str]) -> ConnectionView:
    """The credential first: a row without one could not be used, a credential without a row cannot be reached."""
    vault = get_vault("web")
    await vault.put_credential(ctx.client_id, row.platform, row.id, secret)
    try:
        async with tenant_session(ctx) as session:
            await _require_free(session, ctx, row.alias)
            session.add(row)
            details = {"alias": row.alias, "platform": row.platform, "state": row.state}
            await audit.record(session, ctx, action="connection_added", target=f"connection:{row.id}", details=details)
    except BaseException:
        await vault.delete_credential(ctx.client_id, row.platform, row.id)
        raise
    return view_of(row)


async def test(ctx: Context, *, connection_id: UUID) -> ConnectionView:
    """Sign in afresh and note which permissions are there. Raises Missing; a refusal is in ``last_test``."""
    ctx.require("connection.write")
    async with tenant_session(ctx) as session:
        row = await _row(session, ctx, connection_id)
    try:
        client = await open_connection(ctx, row, purpose="test")
        result = await _try_client(connector_of(row.platform), client)
    except AuthFailed as error:
        result = failed(error)
    if result.ok and row.platform_tenant and result.tenant != row.platform_tenant:
        result = failed(
            AuthFailed(
                f"These credentials now lead to tenant {result.tenant}, not to {row.platform_tenant}.",
                code="tenant_changed",
            )
        )
    return await _note(ctx, connection_id, result)


async def _note(ctx: Context, connection_id: UUID, result: TestResult) -> ConnectionView:
    async with tenant_session(ctx) as session:
        row = await _row(session, ctx, connection_id, lock=True)
        row.state, row.last_test, row.tested_at = "ok" if result.ok else "failed", result.model_dump(), utcnow()
        row.platform_tenant = row.platform_tenant or result.tenant
        session.add(row)
        details = {"missing": result.missing, "reason": (result.error or {}).get("code")}
        outcome = "success" if result.ok else "failure"
        target = f"connection:{connection_id}"
        await audit.record(session, ctx, action="connection_tested", target=target, outcome=outcome, details=details)
        return view_of(row)


async def update(
    ctx: Context, *, connection_id: UUID, name: str | None = None, config: Mapping[str, Any] | None = None
) -> ConnectionView:
    """Rename a connection or give it new settings; secrets that are left out stay.

    New settings are tried with a fresh sign-in before the old ones are replaced, and must lead to the same tenant.
    Where they lead to an address that the old ones did not name, secrets have to be given again. Raises Missing,
    Invalid.
    """
    ctx.require("connection.write")
    async with tenant_session(ctx) as session:
        row = await _row(session, ctx, connection_id)
    result = await _replace_config(ctx, row, config) if config is not None else None
    async with tenant_session(ctx) as session:
        row = await _row(session, ctx, connection_id, lock=True)
        if name is not None:
            _check_words(row.alias, name)
            row.name = name.strip()
        if result is not None:
            row.config, tested = result
            row.state, row.last_test, row.tested_at = "ok", tested.model_dump(), utcnow()
            row.platform_tenant = tested.tenant
        row.revision += 1
        session.add(row)
        details = {"renamed": name is not None, "settings_changed": config is not None}
        target = f"connection:{connection_id}"
        await audit.record(session, ctx, action="connection_updated", target=target, details=details)
        lookup.forget(ctx.client_id, connection_id)
        return view_of(row)


async def _replace_config(
    ctx: Context, row: Connection, config: Mapping[str, Any]
) -> tuple[dict[str, Any], TestResult]:
    connector, vault = connector_of(row.platform), get_vault("web")
    kept = await vault.get_credential(ctx.client_id, row.platform, row.id)
    given = {key: value for key, value in config.items() if key not in kept or value}
    checked = checked_config(connector, {**kept, **given})
    _require_typed(connector, row, kept, given, checked)
    result = await _try_config(ctx, connector, checked)
    if result.ok and row.platform_tenant and result.tenant != row.platform_tenant:
        message = f"These settings lead to tenant {result.tenant}. Add another connection for it."
        raise Invalid(message, code="tenant_changed", problems=[Problem("tenant_changed", message, field="config")])
    if not result.ok:
        raise refusal(result)
    plain, secret = split(connector, checked)
    await vault.put_credential(ctx.client_id, row.platform, row.id, secret)
    return plain, result


def _require_typed(
    connector: Connector, row: Connection, kept: Mapping[str, str], given: Mapping[str, Any], checked: BaseModel
) -> None:
    """Raise Invalid where a secret that is kept would be sent somewhere new: whoever may change a connection has not
    seen it, and could otherwise have it sent to a host of their own."""
    former = connector.destinations(checked_config(connector, {**row.config, **kept}))
    if connector.destinations(checked) <= former:
        return
    message = "These settings lead elsewhere. Type the secret again: what is stored is not sent to a new address."
    problems = [
        Problem("secret_needed_again", message, field=f"config.{name}")
        for name, value in kept.items()
        if value and name not in given
    ]
    if problems:
        raise Invalid(message, code="secret_needed_again", problems=problems)


async def remove(ctx: Context, *, connection_id: UUID) -> None:
    """Take a connection away and destroy its credential. Its alias is free again. Raises Missing."""
    ctx.require("connection.write")
    async with tenant_session(ctx) as session:
        row = await _row(session, ctx, connection_id, lock=True)
        row.state, row.removed_at = "removed", utcnow()
        session.add(row)
        details = {"alias": row.alias, "platform": row.platform}
        target = f"connection:{connection_id}"
        await audit.record(session, ctx, action="connection_removed", target=target, details=details)
        await session.flush()
        await get_vault("web").delete_credential(ctx.client_id, row.platform, row.id)
    lookup.forget(ctx.client_id, connection_id)


async def _try_config(ctx: Context, connector: Connector, config: BaseModel) -> TestResult:
    return await _try_client(connector, connector.open(ctx.client_id, config, environment_of(connector.id)))


async def _try_client(connector: Connector, client: Client) -> TestResult:
    try:
        return passed(await connector.test(client))
    except ConnectorError as error:
        return failed(error)
    finally:
        await client.aclose()


def _new_row(
    ctx: Context, connector: Connector, config: BaseModel, *, alias: str, name: str, result: TestResult
) -> Connection:
    identifier = new_id()
    return Connection(
        client_id=ctx.client_id,
        id=identifier,
        alias=alias,
        platform=connector.id,
        name=name,
        config=split(connector, config)[0],
        vault_path=f"tenant/{ctx.client_id}/platforms/{connector.id}/{identifier}",
        platform_tenant=result.tenant,
        state="ok" if result.ok else "failed",
        last_test=result.model_dump(),
        tested_at=utcnow(),
        created_by=ctx.actor.account_id,
    )


def _living(ctx: Context) -> Any:
    return select(Connection).where(Connection.client_id == ctx.client_id, col(Connection.removed_at).is_(None))


async def _row(session: AsyncSession, ctx: Context, connection_id: UUID, *, lock: bool = False) -> Connection:
    query = _living(ctx).where(Connection.id == connection_id)
    found: Connection | None = (await session.exec(query.with_for_update() if lock else query)).first()
    if found is None:
        raise Missing("connection")
    return found


async def _require_free_alias(ctx: Context, alias: str) -> None:
    async with tenant_session(ctx) as session:
        await _require_free(session, ctx, alias)


async def _require_free(session: AsyncSession, ctx: Context, alias: str) -> None:
    if (await session.exec(_living(ctx).where(Connection.alias == alias))).first() is not None:
        message = f"There is a connection called {alias} already."
        problem = Problem("alias_taken", message, field="alias", params={"alias": alias})
        raise Invalid(message, code="alias_taken", problems=[problem])


def _check_words(alias: str, name: str) -> None:
    problems = []
    if not _ALIAS.fullmatch(alias):
        message = "A short name begins with a letter and has lower-case letters, digits, _ and -."
        problems.append(Problem("alias_invalid", message, field="alias"))
    if not name.strip() or len(name) > 200 or not name.isprintable():
        problems.append(Problem("missing_param", "Give the connection a name.", field="name"))
    if problems:
        raise Invalid(problems[0].message, code=problems[0].code, problems=problems)


async def _record(ctx: Context, action: str, target: str, *, outcome: str, details: Mapping[str, Any]) -> None:
    async with tenant_session(ctx) as session:
        await audit.record(session, ctx, action=action, target=target, outcome=outcome, details=details)
