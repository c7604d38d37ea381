"""All runs of a client."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.core.context import Context
from app.services import runs, workflows
from app.ui.frame import client_path, page_frame
from app.ui.i18n import t
from app.ui.parts import link_button
from app.ui.remote_table import Look, RemoteTable, fill, fill_more
from app.ui.rows import identifier, run_row
from app.ui.run_filters import BY_KIND, BY_STATE, BY_TIME, asked, query
from app.ui.session import SessionState, guarded, opens
from app.ui.table import Column, data_table

ROUTE = "/c/[client]/runs"
Json = dict[str, Any]

COLUMNS = (
    Column("title", "runs.what", kind="main"),
    Column("state", "runs.state", kind="state"),
    Column("workflow_name", "runs.workflow", narrow=False),
    Column("what", "runs.kind", kind="code", prefix="run.kind_", narrow=False),
    Column("summary", "runs.changes", kind="changes", narrow=False),
    Column("said", "runs.reason", kind="reason", narrow=False, hidden=True),
    Column("started_by", "runs.by", narrow=False),
    Column("lasting", "runs.lasting", kind="lasting", narrow=False, sort=False),
    Column("created_at", "runs.started", kind="time"),
)
FILTERS = ("search", "state", "workflow", "kind", "since")


class RunsState(RemoteTable, SessionState):
    flows: list[Json] = []

    @opens("run.read")
    async def load(self, context: Context) -> None:
        """The newest runs that match the filters of the address."""
        flows = await workflows.list_workflows(context) if "workflow.read" in context.permissions else []
        async with self:
            self.flows = [{"value": str(flow.id), "label": flow.name} for flow in flows]
        await fill(self, asked(self.router.url.query_parameters, FILTERS), _look(context), runs.PAGE)

    @guarded("run.read", supersedes=True)
    async def filter(self, context: Context, active: dict[str, str]) -> None:
        """Show the newest runs that match these filters; words are looked for in all runs, not in the rows here."""
        await fill(self, asked(active, FILTERS), _look(context), runs.PAGE)

    @guarded("run.read")
    async def more(self, context: Context) -> None:
        """The page after what is shown."""
        await fill_more(self, _look(context), runs.PAGE)


def _look(context: Context) -> Look:
    async def look(active: dict[str, str], after: str | None) -> list[Json]:
        before = identifier(after, "run") if after else None
        return [run_row(context, run) for run in await runs.list_runs(context, **_query(active), before=before)]

    return look


def _query(active: dict[str, str]) -> Json:
    flow = active.get("workflow")
    return {**query(active), "workflow": identifier(flow, "workflow") if flow else None}


ON_LOAD = [SessionState.load_frame, RunsState.load]


def page() -> rx.Component:
    table = data_table(
        "runs",
        COLUMNS,
        rows=RunsState.rows,
        loaded=RunsState.loaded,
        filters=[BY_STATE, {"id": "workflow", "title": "runs.workflow", "options": RunsState.flows}, BY_KIND, BY_TIME],
        active=RunsState.active,
        remote="search",
        on_filter=RunsState.filter,
        has_more=RunsState.has_more,
        on_more=RunsState.more,
        csv="runs",
        empty={"icon": "play", "title": t("runs.empty"), "help": t("runs.empty_help")},
        empty_action=link_button(t("runs.empty_action"), href=client_path("/workflows"), kind="primary"),
    )
    everywhere = link_button(t("all_runs.title"), href="/runs", icon_name="building")
    over_clients = link_button(t("waves.title"), href=client_path("/waves"), icon_name="layers")
    done_to = link_button(t("history.title"), href=client_path("/history"), icon_name="scroll-text")
    return page_frame(table, title=t("nav.runs"), wide=True, actions=(everywhere, done_to, over_clients))
