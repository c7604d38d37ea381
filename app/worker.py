"""Composition root of a worker process: nothing of the web application is loaded here."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

from app.core.logging import configure_logging
from app.core.settings import Settings, get_settings
from app.data import routing
from app.data.vault import get_vault
from app.engine.runtime.channel import Announcer
from app.engine.runtime.dispatch import Dispatch
from app.engine.runtime.engine import Engine
from app.engine.runtime.heads import Heads
from app.engine.runtime.history import keep_history
from app.engine.runtime.pace import Pace
from app.engine.runtime.pump import Pump
from app.engine.runtime.scheduler import keep_time
from app.engine.runtime.store import Store
from app.engine.runtime.wakeup import wake
from app.engine.runtime.worker import serve
from app.engine.steps.registry import catalogue

Built = tuple[Dispatch, Pump, Callable[[], Awaitable[None]]]


def _spare_what_stays() -> None:
    """Modules and step types stay for good: the collector need not walk through them again, nor look after every few
    runs, which leave next to nothing in circles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


async def build(settings: Settings, worker_id: UUID) -> Built:
    """The engine of one worker, on the running event loop."""
    from app.engine.runtime.walk import RunWalk
    from app.services.connections import open_client

    # Each statement of the engine itself is a transaction of its own.
    links = routing.configure("worker", settings).links()
    # All step types are known before the first run is claimed: it takes a second, in which nothing else is walked.
    await asyncio.to_thread(catalogue)
    _spare_what_stays()
    announcer = Announcer(settings.redis_url)
    announcer.start()
    pace = Pace(settings.redis_url)
    look = partial(wake, settings.redis_url)
    heads = Heads(look)
    engine = Engine(
        store=Store(links, worker_id),
        announcer=announcer,
        pace=pace,
        heads=heads,
        open_client=open_client,
        vault=get_vault("worker"),
        wake=look,
    )
    dispatch = Dispatch(links, worker_id)
    pump = Pump(dispatch, partial(RunWalk, engine))

    async def close() -> None:
        await heads.aclose()
        await announcer.aclose()
        await pace.aclose()
        await routing.dispose()

    return dispatch, pump, close


def run_worker() -> None:
    """Work until told to stop."""
    settings = get_settings()
    configure_logging(settings.log_level, part="worker")
    serve(settings.redis_url, settings.database_url("worker"), partial(build, settings))


def run_scheduler() -> None:
    """Keep time, and find dead workers, until told to stop."""
    settings = get_settings()
    configure_logging(settings.log_level, part="scheduler")
    asyncio.run(_keep_time(settings))


async def _keep_time(settings: Settings) -> None:
    from app.services.triggers.keeping import serve as serve_triggers

    routing.configure("scheduler", settings)
    try:
        dsn = settings.database_url("scheduler")
        archive = partial(keep_history, dsn, settings.archive_folder, settings.history_days)
        await keep_time(dsn, partial(wake, settings.redis_url), serve_triggers, archive)
    finally:
        await routing.dispose()
