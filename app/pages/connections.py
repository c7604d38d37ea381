"""A client's connections: add, test, remove."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.core.context import Context
from app.services import connections
from app.ui.attempt import Attempts, attempt
from app.ui.frame import page_frame
from app.ui.i18n import t
from app.ui.js import module
from app.ui.parts import link_button
from app.ui.rows import identifier, may
from app.ui.session import PageState, SessionState, as_json, guarded, opens, tell
from app.ui.table import Column, data_table

ROUTE = "/c/[client]/connections"
Json = dict[str, Any]

COLUMNS = (
    Column("name", "connections.name", kind="main"),
    Column("state", "connections.state", kind="state"),
    Column("platform_title", "connections.platform", kind="pick", narrow=False),
    Column("alias", "connections.alias", kind="mono", narrow=False),
    Column("tenant", "connections.tenant", narrow=False),
    Column("lacking", "connections.lacking", kind="number", align="end", narrow=False),
    Column("tested_at", "connections.tested", kind="time", narrow=False),
)


class ConnectionsState(PageState, Attempts, SessionState):
    rows: list[Json] = []
    platforms: list[Json] = []
    may_write: bool = False

    @opens("connection.read")
    async def load(self, context: Context) -> None:
        """The connections, and the platforms that can be connected."""
        platforms = [as_json(one) for one in connections.platforms()]
        async with self:
            self.platforms = platforms
            self.may_write, self.problem = may(context)["connect"], {}
        await _fill(self, context)

    @guarded("connection.write")
    async def add(self, context: Context, sent: Json) -> Any:
        """Try the settings and store them. They pass through here and stay nowhere but in the vault."""
        async with attempt(self):
            made = await connections.add(
                context,
                alias=str(sent.get("alias", "")),
                platform=str(sent.get("platform", "")),
                name=str(sent.get("name", "")),
                config=dict(sent.get("config") or {}),
            )
            return rx.redirect(f"/c/{context.client_slug}/connections?open={made.id}", replace=True)

    @guarded("connection.write")
    async def test(self, context: Context, connection: str) -> None:
        """Sign in afresh and see which permissions are there."""
        async with self:
            self.busy = True
        try:
            await connections.test(context, connection_id=identifier(connection, "connection"))
        finally:
            async with self:
                self.busy = False
        await _fill(self, context)

    @guarded("connection.write")
    async def remove(self, context: Context, connection: str) -> None:
        """Take it away, with its credential."""
        await connections.remove(context, connection_id=identifier(connection, "connection"))
        await _fill(self, context)
        await tell(self, "connections.removed")


async def _fill(state: ConnectionsState, context: Context) -> None:
    titles = {one.id: one.title for one in connections.platforms()}
    rows = [_row(as_json(one), titles) for one in await connections.list_connections(context)]
    async with state:
        state.rows, state.loaded = rows, True


def _row(shown: Json, titles: dict[str, Any]) -> Json:
    found = shown["last_test"] or {}
    return shown | {
        "icon": "plug",
        "href": f"?open={shown['id']}",
        "platform_title": titles.get(shown["platform"], {}),
        "tenant": found.get("tenant_name") or shown["platform_tenant"],
        "lacking": len(found["missing"]) if found.get("ok") else None,
    }


class AddConnection(rx.Component):
    """See app/ui/js/connections.jsx."""

    library = module("connections.jsx")
    tag = "AddConnection"
    platforms: rx.Var[list[Json]]
    problem: rx.Var[Json]
    busy: rx.Var[bool]
    on_add: rx.EventHandler[lambda sent: [sent]]


class ConnectionDialog(rx.Component):
    """See app/ui/js/connections.jsx."""

    library = module("connections.jsx")
    tag = "ConnectionDialog"
    connections: rx.Var[list[Json]]
    platforms: rx.Var[list[Json]]
    may_write: rx.Var[bool]
    busy: rx.Var[bool]
    on_test: rx.EventHandler[lambda connection: [connection]]
    on_remove: rx.EventHandler[lambda connection: [connection]]


ON_LOAD = [SessionState.load_frame, ConnectionsState.load]


def _add_button() -> rx.Component:
    return link_button(t("connections.add"), icon_name="plus", kind="primary", href="?add=1")


def page() -> rx.Component:
    table = data_table(
        "connections",
        COLUMNS,
        rows=ConnectionsState.rows,
        loaded=ConnectionsState.loaded,
        empty={"icon": "plug", "title": t("connections.empty"), "help": t("connections.empty_help")},
        empty_action=rx.cond(ConnectionsState.may_write, _add_button(), rx.fragment()),
    )
    shared = {"platforms": ConnectionsState.platforms, "busy": ConnectionsState.busy}
    add = AddConnection.create(
        problem=ConnectionsState.problem,
        on_add=ConnectionsState.add,
        **shared,
    )
    one = ConnectionDialog.create(
        connections=ConnectionsState.rows,
        may_write=ConnectionsState.may_write,
        on_test=ConnectionsState.test,
        on_remove=ConnectionsState.remove,
        **shared,
    )
    actions = (rx.cond(ConnectionsState.may_write, _add_button(), rx.fragment()),)
    return page_frame(table, add, one, title=t("nav.connections"), actions=actions)
