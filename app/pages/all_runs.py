"""Runs of all clients that one may look into."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.core.context import Actor
from app.services import all_runs, clients
from app.services.all_runs import ClientRun
from app.ui.frame import page_frame
from app.ui.i18n import t
from app.ui.remote_table import Look, RemoteTable, fill, fill_more
from app.ui.rows import identifier, run_row_in
from app.ui.run_filters import BY_KIND, BY_STATE, BY_TIME, asked, query
from app.ui.session import SessionState, opens, signed_in
from app.ui.table import Column, data_table

ROUTE = "/runs"
FILTERS = ("search", "client", "tag", "state", "kind", "since")
Json = dict[str, Any]

COLUMNS = (
    Column("title", "runs.what", kind="main", sub="client_name"),
    Column("client_name", "all_runs.client", narrow=False),
    Column("state", "runs.state", kind="state"),
    Column("workflow_name", "runs.workflow", narrow=False),
    Column("what", "runs.kind", kind="code", prefix="run.kind_", narrow=False),
    Column("summary", "runs.changes", kind="changes", narrow=False, hidden=True),
    Column("said", "runs.reason", kind="reason", narrow=False),
    Column("started_by", "runs.by", narrow=False, hidden=True),
    Column("created_at", "runs.started", kind="time"),
)


class AllRunsState(RemoteTable, SessionState):
    choices: list[Json] = []
    tags: list[Json] = []

    @opens(None)
    async def load(self, actor: Actor) -> None:
        """The newest runs that match the filters of the address, wherever they are."""
        mine = await clients.clients_of(actor)
        async with self:
            self.choices = [{"value": one.slug, "label": one.name} for one in mine]
            self.tags = [{"value": tag, "label": tag} for tag in sorted({tag for one in mine for tag in one.tags})]
        await fill(self, asked(self.router.url.query_parameters, FILTERS), _look(actor), all_runs.PAGE)

    @signed_in(supersedes=True)
    async def filter(self, actor: Actor, active: dict[str, str]) -> None:
        """Show the newest runs that match these filters."""
        await fill(self, asked(active, FILTERS), _look(actor), all_runs.PAGE)

    @signed_in()
    async def more(self, actor: Actor) -> None:
        """The page after what is shown."""
        await fill_more(self, _look(actor), all_runs.PAGE)


def _look(actor: Actor) -> Look:
    async def look(active: dict[str, str], after: str | None) -> list[Json]:
        only = [active["client"]] if active.get("client") else []
        before = identifier(after, "run") if after else None
        found = await all_runs.list_all(actor, only=only, tag=active.get("tag", ""), **query(active), before=before)
        return [_row(run) for run in found]

    return look


def _row(run: ClientRun) -> Json:
    return run_row_in(run.client_slug, run)


ON_LOAD = [SessionState.load_frame, AllRunsState.load]


def page() -> rx.Component:
    by_client = {"id": "client", "title": "all_runs.client", "options": AllRunsState.choices}
    by_tag = {"id": "tag", "title": "clients.tags", "options": AllRunsState.tags}
    table = data_table(
        "all_runs",
        COLUMNS,
        rows=AllRunsState.rows,
        loaded=AllRunsState.loaded,
        filters=[BY_STATE, by_client, by_tag, BY_KIND, BY_TIME],
        active=AllRunsState.active,
        remote="search",
        on_filter=AllRunsState.filter,
        has_more=AllRunsState.has_more,
        on_more=AllRunsState.more,
        csv="runs",
        empty={"icon": "play", "title": t("runs.empty"), "help": t("all_runs.empty_help")},
    )
    return page_frame(table, title=t("all_runs.title"), wide=True)
