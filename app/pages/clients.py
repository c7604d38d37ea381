"""All clients that one may enter."""

from __future__ import annotations

import reflex as rx

from app.core.context import Actor
from app.services import clients
from app.ui.frame import page_frame
from app.ui.i18n import t
from app.ui.session import PageState, SessionState, as_json, opens
from app.ui.table import Column, data_table

ROUTE = "/clients"

COLUMNS = (
    Column("name", "clients.name", kind="client"),
    Column("slug", "clients.slug", kind="mono", narrow=False),
    Column("tags", "clients.tags", kind="tags", narrow=False),
    Column("role", "clients.role", kind="code", prefix="role."),
)


class ClientsState(PageState, SessionState):
    rows: list[dict[str, object]] = []

    @opens(None)
    async def load(self, actor: Actor) -> None:
        """The clients of whoever is signed in."""
        found = [as_json(view) for view in await clients.clients_of(actor)]
        async with self:
            self.rows = [row | {"href": f"/c/{row['slug']}"} for row in found]
            self.loaded = True


ON_LOAD = [SessionState.load_frame, ClientsState.load]


def page() -> rx.Component:
    table = data_table(
        "clients",
        COLUMNS,
        rows=ClientsState.rows,
        loaded=ClientsState.loaded,
        csv="clients",
        empty={"icon": "building", "title": t("clients.empty"), "help": t("clients.empty_help")},
    )
    return page_frame(table, title=t("clients.title"))
