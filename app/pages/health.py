"""Whether each part of the system answers."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.core.clock import utcnow
from app.core.context import Actor
from app.services import health
from app.ui.frame import page_frame
from app.ui.guard import current_actor
from app.ui.i18n import t
from app.ui.js import module
from app.ui.session import PageState, SessionState, as_json, opens
from app.ui.watch import while_open

ROUTE = "/health"
LOOK_AGAIN_AFTER_S = 5.0


class HealthState(PageState, SessionState):
    shown: dict[str, Any] = {}
    asked_at: str = ""

    @opens(None)
    async def load(self, actor: Actor) -> None:
        """Ask every part, again and again while the page is open."""
        async for reader in while_open(self, current_actor, LOOK_AGAIN_AFTER_S):
            found = as_json(await health.status(reader))
            async with self:
                self.shown, self.asked_at, self.loaded = found, utcnow().isoformat(), True


class Health(rx.Component):
    """See app/ui/js/health.jsx."""

    library = module("health.jsx")
    tag = "Health"
    health: rx.Var[dict[str, Any]]
    at: rx.Var[str]


ON_LOAD = [SessionState.load_frame, HealthState.load]


def page() -> rx.Component:
    return page_frame(Health.create(health=HealthState.shown, at=HealthState.asked_at), title=t("nav.health"))
