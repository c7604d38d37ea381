"""The first page inside a client."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import reflex as rx

from app.core.clock import utcnow
from app.core.context import Context
from app.services import approvals, runs, triggers
from app.services.run_views import ApprovalView
from app.ui.frame import page_frame
from app.ui.i18n import t
from app.ui.js import module
from app.ui.rows import run_row
from app.ui.session import PageState, SessionState, opens
from app.ui.watch import allowed, while_open

ROUTE = "/c/[client]"
GOING = ("running", "waiting", "queued", "paused")
MOST = 8
LOOK_AGAIN_AFTER_S = 5.0

Json = dict[str, Any]


class HomeState(PageState, SessionState):
    drifting: list[Json] = []
    waiting: list[Json] = []
    going: list[Json] = []
    failed: list[Json] = []
    recent: list[Json] = []

    @opens("run.read")
    async def load(self, context: Context) -> None:
        """What waits for the reader, is going on, failed today, and was done last; kept up to date."""
        async for reader in while_open(self, allowed("run.read"), LOOK_AGAIN_AFTER_S):
            shown = await _look(reader)
            drifting = await _drifting(reader)
            if self.loaded and (drifting, *shown) == (
                self.drifting,
                self.waiting,
                self.going,
                self.failed,
                self.recent,
            ):
                continue
            async with self:
                self.drifting = drifting
                self.waiting, self.going, self.failed, self.recent = shown
                self.loaded = True


async def _look(context: Context) -> tuple[list[Json], list[Json], list[Json], list[Json]]:
    today = utcnow() - timedelta(days=1)
    mine, going, failed, recent = await asyncio.gather(
        approvals.list_approvals(context),
        runs.list_runs(context, state=GOING, limit=MOST),
        runs.list_runs(context, state=("failed",), since=today, limit=MOST),
        runs.list_runs(context, limit=MOST),
    )
    waiting = [_question(context, one) for one in mine if one.may_decide][:MOST]
    return waiting, *([_line(context, run) for run in found] for found in (going, failed, recent))


async def _drifting(context: Context) -> list[Json]:
    """The watches that see drift."""
    if "workflow.read" not in context.permissions:
        return []
    return [
        {
            "id": str(one.id),
            "href": f"/c/{context.client_slug}/triggers?open={one.id}",
            "title": one.name,
            "detail": one.workflow_name,
            "state": one.state,
            "summary": one.drift.counts if one.drift else {},
            "at": one.drift.since.isoformat() if one.drift and one.drift.since else "",
        }
        for one in await triggers.list_triggers(context, drift=True)
    ][:MOST]


def _question(context: Context, approval: ApprovalView) -> Json:
    return {
        "id": str(approval.id),
        "href": f"/c/{context.client_slug}/approvals?id={approval.id}",
        "title": approval.title or approval.workflow_name,
        "detail": approval.asked_by or approval.workflow_name,
        "summary": approval.summary,
        "at": approval.asked_at.isoformat(),
    }


def _line(context: Context, run: Any) -> Json:
    row = run_row(context, run)
    wanted = ("id", "href", "title", "state", "summary", "what")
    return {name: row[name] for name in wanted} | {"detail": row["workflow_name"], "at": row["created_at"]}


class Home(rx.Component):
    """See app/ui/js/home.jsx."""

    library = module("home.jsx")
    tag = "Home"
    drifting: rx.Var[list[Json]]
    waiting: rx.Var[list[Json]]
    going: rx.Var[list[Json]]
    failed: rx.Var[list[Json]]
    recent: rx.Var[list[Json]]
    loaded: rx.Var[bool]


ON_LOAD = [SessionState.load_frame, HomeState.load]


def page() -> rx.Component:
    content = Home.create(
        drifting=HomeState.drifting,
        waiting=HomeState.waiting,
        going=HomeState.going,
        failed=HomeState.failed,
        recent=HomeState.recent,
        loaded=HomeState.loaded,
    )
    return page_frame(content, title=t("nav.home"))
