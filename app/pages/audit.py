"""The client's audit trail."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import reflex as rx

from app.core.clock import utcnow
from app.core.context import Context
from app.services import audit
from app.ui.frame import page_frame
from app.ui.i18n import t
from app.ui.parts import icon
from app.ui.session import PageState, SessionState, as_json, guarded, opens
from app.ui.table import Column, choice, data_table

ROUTE = "/c/[client]/audit"
Json = dict[str, Any]
UUID_LIKE = re.compile(r"[0-9a-f-]{36}")

COLUMNS = (
    Column("at", "audit.at", kind="time"),
    Column("action", "audit.action", kind="action", sub="name"),
    Column("name", "audit.actor", kind="titled", narrow=False),
    Column("outcome", "audit.outcome", kind="state"),
    Column("target", "audit.target", kind="target", narrow=False),
    Column("detail", "common.details", kind="mono", narrow=False),
    Column("ip", "audit.ip", kind="mono", narrow=False, hidden=True),
    Column("via", "audit.via", kind="mono", narrow=False, hidden=True),
    Column("seq", "audit.seq", kind="number", align="end", narrow=False, hidden=True),
)
# Where what an event is about can be looked at.
PLACES = {"run": "runs/{id}", "workflow": "workflows/{id}", "connection": "connections?open={id}"}
OUTCOMES = ("success", "failure", "denied")
ABOUT = ("run", "workflow", "approval", "connection", "account", "client", "session", "reveal")
FILTERS = ("outcome", "about", "since")
SINCE = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}


class AuditState(PageState, SessionState):
    rows: list[Json] = []
    active: dict[str, str] = {}
    _next: int = 0

    @rx.var
    def has_more(self) -> bool:
        """Whether there are older events."""
        return self._next > 0

    @opens("audit.read")
    async def load(self, context: Context) -> None:
        """The newest events."""
        await _fill(self, context, dict(self.active))

    @guarded("audit.read", supersedes=True)
    async def filter(self, context: Context, active: dict[str, str]) -> None:
        """Show the newest events that match these filters."""
        active = {name: str(active[name]) for name in FILTERS if active.get(name)}
        async with self:
            self.active, self.loaded = active, False
        await _fill(self, context, active)

    @guarded("audit.read")
    async def more(self, context: Context) -> None:
        """Older events."""
        found = await audit.list_events(context, **_query(dict(self.active)), cursor=self._next or None)
        async with self:
            self.rows = [*self.rows, *(_row(context, event) for event in found.events)]
            self._next = found.next or 0


async def _fill(state: AuditState, context: Context, active: dict[str, str]) -> None:
    found = await audit.list_events(context, **_query(active))
    async with state:
        state.rows = [_row(context, event) for event in found.events]
        state._next = found.next or 0
        state.loaded = True


def _query(active: dict[str, str]) -> Json:
    since = SINCE.get(active.get("since", ""))
    about = active.get("about")
    return {
        "outcome": active.get("outcome") if active.get("outcome") in OUTCOMES else None,
        "target": f"{about}:" if about in ABOUT else None,
        "since": utcnow() - since if since else None,
    }


def _row(context: Context, event: Any) -> Json:
    shown = as_json(event)
    details = ", ".join(f"{name}={value}" for name, value in shown["details"].items() if value not in (None, "", []))
    return shown | {
        "id": shown["seq"],
        "detail": details,
        "name_title": shown["email"] or shown["actor"],
        "href": _place(context, shown["target"]),
    }


def _place(context: Context, target: str) -> str:
    """The page of what an event is about; empty where there is none."""
    kind, _, number = target.partition(":")
    place = PLACES.get(kind)
    return f"/c/{context.client_slug}/{place.format(id=number)}" if place and UUID_LIKE.fullmatch(number) else ""


ON_LOAD = [SessionState.load_frame, AuditState.load]


def page() -> rx.Component:
    table = data_table(
        "audit",
        COLUMNS,
        rows=AuditState.rows,
        loaded=AuditState.loaded,
        filters=[
            choice("outcome", "audit.outcome", [(name, f"state.{name}") for name in OUTCOMES]),
            choice("about", "audit.target", [(name, f"audit.about_{name}") for name in ABOUT]),
            choice("since", "audit.at", [(name, f"runs.since_{name}") for name in SINCE]),
        ],
        active=AuditState.active,
        on_filter=AuditState.filter,
        has_more=AuditState.has_more,
        on_more=AuditState.more,
        csv="audit",
        empty={"icon": "scroll-text", "title": t("audit.empty"), "help": t("audit.empty_help")},
    )
    # The signed export comes over HTTP, as a file; a link, because a page's state is no place for a whole trail.
    export = rx.el.a(
        icon(name="download", size=14),
        rx.el.span(t("audit.export"), class_name="os-wide-only"),
        href="/api/v1/clients/" + SessionState.here["slug"].to(str) + "/audit/export",
        download=True,
        aria_label=t("audit.export"),
        class_name="os-button",
    )
    return page_frame(table, title=t("nav.audit"), wide=True, actions=(export,))
