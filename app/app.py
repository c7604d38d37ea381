"""The web application: pages, websocket and REST gateway, put together."""

from __future__ import annotations

import gc
from threading import Thread
from typing import Any

import reflex as rx

from app.api.gateway import gateway
from app.api.main import create_api
from app.builder import page as builder
from app.core import metrics
from app.core.logging import configure_logging
from app.core.settings import get_settings
from app.data import routing
from app.engine.steps.registry import catalogue
from app.pages import (
    all_runs,
    approvals,
    audit,
    batch,
    clients,
    connections,
    health,
    history,
    home,
    landing,
    run,
    runs,
    sign_in,
    triggers,
    wave,
    waves,
    workflows,
)
from app.ui.overlay import app_wraps
from app.ui.socket import protect
from app.ui.state_locks import steady
from app.ui.theme import STYLESHEETS, head

PAGES: tuple[Any, ...] = (
    sign_in,
    landing,
    clients,
    all_runs,
    health,
    home,
    workflows,
    builder,
    runs,
    run,
    batch,
    history,
    waves,
    wave,
    approvals,
    connections,
    triggers,
    audit,
)


def create_app() -> rx.App:
    """The application with every page, and the REST gateway beside them."""
    _connect()
    made = rx.App(
        api_transformer=gateway(create_api()),
        stylesheets=STYLESHEETS,
        head_components=head(),
        app_wraps=app_wraps(),
        toaster=None,
    )
    protect(made)
    steady(made)
    for page in PAGES:
        made.add_page(page.page, route=page.ROUTE, title="Opsloom", on_load=getattr(page, "ON_LOAD", None))
    if get_settings().database_url_web:
        Thread(target=_warm_up, name="warm-up", daemon=True).start()
    return made


def _connect() -> None:
    """Logs and database of this process. A build of the front end has no settings yet, and needs neither."""
    settings = get_settings()
    configure_logging(settings.log_level, part="web")
    metrics.forget_dead()
    if settings.database_url_web:
        routing.configure("web", settings)


def _warm_up() -> None:
    """Load the connectors' actions, which would hold up the first start for seconds.

    What is there then stays, and is never looked through for garbage again: that would hold everybody up for a tenth of
    a second each time. What comes later is looked through less often than Python would, which took as much of a run's
    time as one of its round trips: next to nothing of it is garbage that only the collector finds.
    """
    catalogue()
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


app = create_app()
