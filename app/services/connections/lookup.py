"""Live choices in forms: what a read action finds in the client's tenant, kept for some seconds in this process.

The key names client, connection and its revision, and the entry says again whose it is: what one client's tenant holds
is never shown to another, whatever the key.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from app.core.context import Context
from app.core.errors import Invalid, Missing, Problem
from app.data.models.connections import Connection
from app.services.connections.platform import PlatformRefused, find_by_alias, open_connection
from connectors import registry
from connectors.base import ReadAction
from connectors.errors import ConnectorError

Rows = list[dict[str, Any]]
KEPT_S = 20.0
_MOST_ENTRIES = 256


@dataclass(frozen=True)
class _Entry:
    client_id: UUID
    connection_id: UUID
    until: float
    rows: Rows


_kept: OrderedDict[tuple[Any, ...], _Entry] = OrderedDict()


async def choices(ctx: Context, *, connection: str, action: str, params: Mapping[str, Any] | None = None) -> Rows:
    """The rows that the read action ``action`` finds through the connection with alias ``connection``.

    Raises Missing, Invalid for wrong parameters, PlatformRefused with what the platform said.
    """
    ctx.require("run.plan")
    row = await find_by_alias(ctx, connection)
    if row is None:
        raise Missing("connection")
    found = _read_action(action, row)
    key = (ctx.client_id, row.id, row.revision, action, json.dumps(dict(params or {}), sort_keys=True, default=str))
    entry = _kept.get(key)
    if entry and entry.client_id == ctx.client_id and entry.until > time.monotonic():
        return entry.rows
    rows = await _ask(ctx, row, found, params or {})
    _keep(key, _Entry(ctx.client_id, row.id, time.monotonic() + KEPT_S, rows))
    return rows


def _read_action(action: str, row: Connection) -> ReadAction[Any, Any]:
    found = registry.actions().get(action)
    # A look that gives no rows is no choice, and its parameters may say anything: a web address to ask, with the
    # client's credential, by somebody who may not draw workflows.
    chooses = isinstance(found, ReadAction) and "items" in found.Output.model_fields
    if not isinstance(found, ReadAction) or not chooses or not action.startswith(f"{row.platform}."):
        message = f"{action} is nothing that can be looked up through this connection."
        raise Invalid(message, problems=[Problem("action_unknown", message, field="action")])
    return found


async def _ask(ctx: Context, row: Connection, action: ReadAction[Any, Any], params: Mapping[str, Any]) -> Rows:
    try:
        checked = action.Params.model_validate(dict(params))
    except ValidationError as error:
        problems = [
            Problem("param_invalid", each["msg"], field=".".join(["params", *map(str, each["loc"])]))
            for each in error.errors(include_input=False, include_url=False)
        ]
        raise Invalid("A parameter is wrong.", problems=problems) from None
    try:
        client = await open_connection(ctx, row, purpose=action.id)
        try:
            output = await action.read(client, checked)
        finally:
            await client.aclose()
    except ConnectorError as error:
        raise PlatformRefused(error) from error
    return list(output.model_dump(mode="json").get("items", []))


def _keep(key: tuple[Any, ...], entry: _Entry) -> None:
    _kept[key] = entry
    _kept.move_to_end(key)
    while len(_kept) > _MOST_ENTRIES:
        _kept.popitem(last=False)


def forget(client_id: UUID, connection_id: UUID) -> None:
    """Drop what is kept of a connection."""
    for key in [
        key for key, entry in _kept.items() if (entry.client_id, entry.connection_id) == (client_id, connection_id)
    ]:
        del _kept[key]
