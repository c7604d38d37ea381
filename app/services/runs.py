"""Runs: looking at them, and what people ask of them. Starting one is in :mod:`app.services.starts`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from app.core.context import Context
from app.core.run_states import OVER
from app.core.settings import get_settings
from app.data.session import tenant_session
from app.data.trips import Ask, tenant_trip
from app.engine.runtime.channel import listen
from app.engine.runtime.hub import Pile, hub_of
from app.services.batch_views import row_steps, rows_of
from app.services.planned_batches import start_planned, start_planned_batch
from app.services.run_again import again
from app.services.run_control import cancel, pause, resume, retry, settle
from app.services.run_loading import view
from app.services.run_moments import at
from app.services.run_search import Wanted, newest_fitting
from app.services.run_views import RunRow, RunView, row_fields
from app.services.start_tables import check_table, start_batch
from app.services.starts import start
from app.services.undos import undo

__all__ = [
    "again",
    "at",
    "cancel",
    "check_table",
    "client_events",
    "events",
    "get",
    "list_runs",
    "listening",
    "outcome",
    "pause",
    "resume",
    "retry",
    "row_steps",
    "rows_of",
    "settle",
    "start",
    "start_batch",
    "start_planned",
    "start_planned_batch",
    "undo",
]

Json = dict[str, Any]
PAGE = 50
_LOOK_S = 15.0
_STATE = "SELECT state FROM runs WHERE client_id = %s AND id = %s"
_COALESCED_S = 0.25


async def list_runs(
    ctx: Context,
    *,
    state: Sequence[str] = (),
    workflow: UUID | None = None,
    mode: str | None = None,
    kind: str | None = None,
    search: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    limit: int = PAGE,
) -> list[RunRow]:
    """The client's runs, newest first; rows of a batch are left to :func:`rows_of`, unless there is a ``search``.

    ``before`` is the id of the last run of the page before. ``search`` is beginnings of words, all of which a run must
    have in its label, the values of its inputs, or what it failed of. Fewer runs than ``limit`` are the last ones.

    Raises Invalid where so many runs have the words that looking through them takes too long.
    """
    ctx.require("run.read")
    wanted = Wanted(ctx.client_id, state, workflow, mode, kind, search, since, until, before, limit)
    async with tenant_session(ctx) as session:
        return [RunRow(**row_fields(run, name)) for run, name in await newest_fitting(session, wanted)]


async def get(ctx: Context, run_id: UUID, *, rows: bool = True) -> RunView:
    """One run with its steps, plan, approvals and secrets to hand over; a batch without its rows (:func:`rows_of`) and
    their plans unless ``rows``. Raises Missing."""
    ctx.require("run.read")
    return await view(ctx, run_id, rows=rows)


async def outcome(ctx: Context, run_id: UUID, wait_s: float) -> RunView:
    """The run as soon as it is over, or as it is after ``wait_s`` seconds. Raises Missing."""
    async with listening(ctx, begun=True) as awaited:
        return await awaited(run_id, wait_s)


@asynccontextmanager
async def listening(ctx: Context, *, begun: bool) -> AsyncIterator[Callable[[UUID, float], Awaitable[RunView]]]:
    """Gives :func:`outcome`. Opened before a run is started, it misses none of its news; where the run may have been
    started before (``begun``), it has to look first."""
    ctx.require("run.read")
    async with hub_of(get_settings().redis_url).reading(ctx.client_id, begun=begun) as pile:
        yield partial(_outcome, ctx, pile)


async def _outcome(ctx: Context, pile: Pile, run_id: UUID, wait_s: float) -> RunView:
    pile.narrow(run_id, OVER)
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_s
    while (left := until - loop.time()) > 0:
        _, news = await pile.take(min(left, _LOOK_S))
        if news or await _state(ctx, run_id) in OVER:
            break
    return await get(ctx, run_id)


async def _state(ctx: Context, run_id: UUID) -> str | None:
    (rows,) = await tenant_trip(ctx, Ask(_STATE, (ctx.client_id, run_id)))
    return rows[0][0] if rows else None


async def events(ctx: Context, run_id: UUID) -> AsyncGenerator[RunView, None]:
    """The run now, and again after each change, until it is over. Changes that come together are seen as one. A batch
    comes without its rows."""
    view = await get(ctx, run_id, rows=False)
    yield view
    if view.state in OVER:
        return
    async with aclosing(listen(get_settings().redis_url, ctx.client_id, run_id)) as news:
        async for _ in news:
            fresh = await get(ctx, run_id, rows=False)
            if fresh != view:
                view = fresh
                yield view
            if view.state in OVER:
                return


async def client_events(ctx: Context) -> AsyncGenerator[Json, None]:
    """What runs of the client have come further: ``{"look", "runs": [{"id", "seq", "state"}]}``, four times a second at
    most. ``look`` says that something may have been missed (always so at first): read the list anew."""
    ctx.require("run.read")
    async with hub_of(get_settings().redis_url).reading(ctx.client_id) as pile:
        while True:
            look, news = await pile.take(_LOOK_S)
            if look or news:
                runs = [{"id": str(each.run), "seq": each.seq, "state": each.state} for each in news]
                yield {"look": look, "runs": runs}
                await asyncio.sleep(_COALESCED_S)
