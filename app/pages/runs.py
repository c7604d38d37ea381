"""All runs of a client."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import reflex as rx

from app.core.clock import utcnow
from app.core.context import Context
from app.services import runs, workflows
from app.ui.frame import client_path, page_frame
from app.ui.i18n import t
from app.ui.parts import link_button
from app.ui.remote_table import Look, RemoteTable, fill, fill_more
from app.ui.rows import identifier, run_row
from app.ui.session import SessionState, guarded, opens
from app.ui.table import Column, choice, data_table

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
STATES = ("queued", "running", "waiting", "paused", "succeeded", "failed", "cancelled")
SINCE = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
FILTERS = ("search", "state", "workflow", "kind", "since")


class RunsState(RemoteTable, SessionState):
    flows: list[Json] = []

    @opens("run.read")
    async def load(self, context: Context) -> None:
        """The newest runs that match the filters of the address."""
        flows = await workflows.list_workflows(context) if "workflow.read" in context.permissions else []
        async with self:
            self.flows = [{"value": str(flow.id), "label": flow.name} for flow in flows]
        await fill(self, _asked(self.router.url.query_parameters), _look(context), runs.PAGE)

    @guarded("run.read", supersedes=True)
    async def filter(self, context: Context, active: dict[str, str]) -> None:
        """Show the newest runs that match these filters; words are looked for in all runs, not in the rows here."""
        await fill(self, _asked(active), _look(context), runs.PAGE)

    @guarded("run.read")
    async def more(self, context: Context) -> None:
        """The page after what is shown."""
        await fill_more(self, _look(context), runs.PAGE)


def _asked(given: Any) -> dict[str, str]:
    return {name: str(given[name]) for name in FILTERS if given.get(name)}


def _look(context: Context) -> Look:
    async def look(active: dict[str, str], after: str | None) -> list[Json]:
        before = identifier(after, "run") if after else None
        return [run_row(context, run) for run in await runs.list_runs(context, **_query(active), before=before)]

    return look


def _query(active: dict[str, str]) -> Json:
    """The filters as the service takes them. Plans are a mode there and a kind here."""
    kind = active.get("kind")
    since: datetime | None = utcnow() - SINCE[active["since"]] if active.get("since") in SINCE else None
    return {
        "state": (active["state"],) if active.get("state") in STATES else (),
        "workflow": identifier(active["workflow"], "workflow") if active.get("workflow") else None,
        "mode": "plan" if kind == "plan" else None,
        "kind": None if kind == "plan" else kind,
        "since": since,
        "search": active.get("search", ""),
    }


ON_LOAD = [SessionState.load_frame, RunsState.load]


def _filters() -> list[Any]:
    kinds = [(name, f"run.kind_{name}") for name in ("run", "plan", "batch", "wave", "undo")]
    return [
        choice("state", "runs.state", [(state, f"state.{state}") for state in STATES]),
        {"id": "workflow", "title": "runs.workflow", "options": RunsState.flows},
        choice("kind", "runs.kind", kinds),
        choice("since", "runs.since", [(name, f"runs.since_{name}") for name in SINCE]),
    ]


def page() -> rx.Component:
    table = data_table(
        "runs",
        COLUMNS,
        rows=RunsState.rows,
        loaded=RunsState.loaded,
        filters=_filters(),
        active=RunsState.active,
        remote="search",
        on_filter=RunsState.filter,
        has_more=RunsState.has_more,
        on_more=RunsState.more,
        csv="runs",
        empty={"icon": "play", "title": t("runs.empty"), "help": t("runs.empty_help")},
        empty_action=link_button(t("runs.empty_action"), href=client_path("/workflows"), kind="primary"),
    )
    over_clients = link_button(t("waves.title"), href=client_path("/waves"), icon_name="layers")
    done_to = link_button(t("history.title"), href=client_path("/history"), icon_name="scroll-text")
    return page_frame(table, title=t("nav.runs"), wide=True, actions=(done_to, over_clients))
