"""The bare address: it leads on to where one was last."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.core.context import Actor
from app.ui.frame import page_frame
from app.ui.i18n import t
from app.ui.js import module
from app.ui.session import PageState, SessionState, opens

ROUTE = "/"


class LandingState(PageState, SessionState):
    @opens(None)
    async def load(self, actor: Actor) -> None:
        """Somebody is signed in; the browser knows where they were last."""
        async with self:
            self.loaded = True


class Landing(rx.Component):
    """See app/ui/js/home.jsx."""

    library = module("home.jsx")
    tag = "Landing"
    clients: rx.Var[list[dict[str, Any]]]
    known: rx.Var[bool]


ON_LOAD = [SessionState.load_frame, LandingState.load]


def page() -> rx.Component:
    known = LandingState.loaded & (SessionState.me.length() > 0)  # type: ignore[attr-defined]
    return page_frame(Landing.create(clients=SessionState.my_clients, known=known), title=t("app.name"))
