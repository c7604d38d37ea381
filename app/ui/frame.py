"""The frame around every page, and the one place that says which pages there are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import reflex as rx

from app.ui.js import module
from app.ui.session import SessionState

SIGN_OUT = "/api/v1/auth/sign-out"


@dataclass(frozen=True)
class Place:
    """An entry of the sidebar.

    ``client`` says that it is there only inside a client, ``foot`` that it stands below, ``within`` that it is marked
    on the pages under it too, ``phone`` that it is in the bottom bar of a narrow screen.
    """

    id: str
    key: str
    icon: str
    path: str
    client: bool = True
    foot: bool = False
    within: bool = True
    phone: bool = False


PLACES = (
    Place("home", "nav.home", "house", "/c/{client}", within=False, phone=True),
    Place("workflows", "nav.workflows", "workflow", "/c/{client}/workflows"),
    Place("runs", "nav.runs", "play", "/c/{client}/runs", phone=True),
    Place("approvals", "nav.approvals", "shield-check", "/c/{client}/approvals", phone=True),
    Place("triggers", "nav.triggers", "calendar", "/c/{client}/triggers"),
    Place("audit", "nav.audit", "scroll-text", "/c/{client}/audit"),
    Place("clients", "nav.clients", "building", "/clients", client=False, phone=True),
    Place("all_runs", "nav.all_runs", "layers", "/runs", client=False),
    Place("connections", "nav.connections", "plug", "/c/{client}/connections", foot=True),
    Place("health", "nav.health", "health", "/health", client=False, foot=True),
)


class Frame(rx.Component):
    """Sidebar, client's band, bottom bar, palette, toasts; the page is its children."""

    library = module("frame.jsx")
    tag = "Frame"
    me: rx.Var[dict[str, Any]]
    here: rx.Var[dict[str, Any]]
    clients: rx.Var[list[dict[str, Any]]]
    counts: rx.Var[dict[str, int]]
    notices: rx.Var[list[dict[str, Any]]]
    found: rx.Var[dict[str, Any]]
    gate: rx.Var[str]
    shown_for: rx.Var[dict[str, str]]
    places: rx.Var[list[dict[str, Any]]]
    sign_out: rx.Var[str]
    on_preference: rx.EventHandler[lambda name, value: [name, value]]
    on_ask: rx.EventHandler[lambda words: [words]]


class Header(rx.Component):
    """The thin header; its children are the page's actions."""

    library = module("frame.jsx")
    tag = "Header"
    title: rx.Var[str]
    crumbs: rx.Var[list[dict[str, Any]]]


def crumb(label: rx.Var[str], href: Any) -> dict[str, Any]:
    """One step of the way to a page."""
    return {"label": label, "href": href}


def page_frame(
    *content: Any,
    title: rx.Var[str] | None,
    crumbs: list[dict[str, Any]] | None = None,
    actions: tuple[Any, ...] = (),
    wide: bool = False,
    bare: bool = False,
) -> rx.Component:
    """A page: ``content`` under a header. ``wide`` uses the whole width; ``bare`` leaves layout to the content.

    ``title`` None leaves the header out, for content that has its own.
    """
    inner = content if bare else (rx.el.div(*content, class_name="os-page", custom_attrs={"data-wide": wide}),)
    head = () if title is None else (Header.create(*actions, title=title, crumbs=crumbs or []),)
    return Frame.create(
        *head,
        rx.el.div(*inner, class_name="os-content"),
        me=SessionState.me,
        here=SessionState.here,
        clients=SessionState.my_clients,
        counts=SessionState.counts,
        notices=SessionState.notices,
        found=SessionState.found,
        gate=SessionState.gate,
        shown_for=SessionState.shown_for,
        places=[asdict(place) for place in PLACES],
        sign_out=SIGN_OUT,
        on_preference=SessionState.prefer,
        on_ask=SessionState.find,
    )


def client_path(rest: str = "") -> rx.Var[str]:
    """The address of a page of the client that one is in."""
    return "/c/" + SessionState.here["slug"].to(str) + rest  # type: ignore[no-any-return]
