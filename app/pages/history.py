"""What was done to one thing on a platform, over all runs of a client; without one, what was done to anything."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.core.context import Context
from app.services import targets
from app.services.targets import Touch
from app.ui.frame import client_path, crumb, page_frame
from app.ui.i18n import t
from app.ui.remote_table import Look, RemoteTable, fill, fill_more
from app.ui.rows import run_path
from app.ui.session import SessionState, guarded, opens
from app.ui.steps import thing_words
from app.ui.table import Column, data_table

ROUTE = "/c/[client]/history"
PAGE = 50
MOST_WORDS = 500
Json = dict[str, Any]

COLUMNS = (
    Column("thing", "history.target", kind="main", sub="thing_kind"),
    Column("target", "history.full_name", kind="mono", narrow=False, hidden=True),
    Column("change", "history.change", kind="diff", sort=False),
    Column("workflow_name", "runs.workflow", narrow=False),
    Column("what", "runs.kind", kind="code", prefix="run.kind_", narrow=False),
    Column("run_state", "runs.state", kind="state", narrow=False, hidden=True),
    Column("node", "history.step", kind="mono", narrow=False, hidden=True),
    Column("started_by", "runs.by", narrow=False),
    Column("at", "history.at", kind="time"),
)


class HistoryState(RemoteTable, SessionState):
    @opens("run.read")
    async def load(self, context: Context) -> None:
        """The newest changes of the thing that the address names."""
        await fill(self, _asked(self.router.url.query_parameters), _look(context), PAGE)

    @guarded("run.read", supersedes=True)
    async def filter(self, context: Context, active: dict[str, str]) -> None:
        """The newest changes of what was typed."""
        await fill(self, _asked(active), _look(context), PAGE)

    @guarded("run.read")
    async def more(self, context: Context) -> None:
        """Older changes."""
        await fill_more(self, _look(context), PAGE)


def _asked(given: Any) -> dict[str, str]:
    target = str(given.get("target") or "").strip()[:MOST_WORDS]
    return {"target": target} if target else {}


def _look(context: Context) -> Look:
    async def look(active: dict[str, str], after: str | None) -> list[Json]:
        found = await targets.history(context, target=active.get("target", ""), before=after, limit=PAGE)
        return [_row(context, touch) for touch in found]

    return look


def _row(context: Context, touch: Touch) -> Json:
    kind, _, thing = touch.target.partition(":")
    return touch.model_dump(mode="json") | {
        "thing": thing,
        "thing_kind": kind,
        "id": touch.cursor,
        "href": run_path(context, touch.run_kind, touch.run_id),
        "what": touch.run_kind,
        "change": _change(touch, thing_words(kind)),
    }


def _change(touch: Touch, words: Json) -> Json:
    """The change with the words of its fields. Where the run has been archived, only its kind is still here."""
    change = touch.change
    if not change:
        return {"kind": touch.kind, "archived": True}
    fields = {*(change.get("before") or ()), *(change.get("after") or ())}
    return change | {"words": {name: each for name, each in words.items() if name in fields}}


ON_LOAD = [SessionState.load_frame, HistoryState.load]


def page() -> rx.Component:
    table = data_table(
        "history",
        COLUMNS,
        rows=HistoryState.rows,
        loaded=HistoryState.loaded,
        active=HistoryState.active,
        remote="target",
        on_filter=HistoryState.filter,
        has_more=HistoryState.has_more,
        on_more=HistoryState.more,
        csv="history",
        empty={"icon": "scroll-text", "title": t("history.empty"), "help": t("history.empty_help")},
    )
    crumbs = [crumb(t("nav.runs"), client_path("/runs"))]
    return page_frame(table, title=t("history.title"), crumbs=crumbs, wide=True)
