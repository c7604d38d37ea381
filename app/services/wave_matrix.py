"""The matrix of a wave: each client with the states of its steps, which only that client knows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import UUID as UUID_TYPE
from sqlalchemy import ColumnElement, FromClause, column, true
from sqlalchemy.orm import aliased
from sqlmodel import col, func, select

from app.core.context import Actor, Context
from app.data.models.runs import Run, WaveTarget
from app.data.session import overview_session
from app.services import clients
from app.services.clients import ClientView
from app.services.run_loading import step_states

Json = dict[str, Any]
# Histories are read client by client; these are read beside each other.
_AT_ONCE = 4


@dataclass(frozen=True)
class _Head:
    """A client's run, and the newest one that takes it back."""

    client_id: UUID
    run_id: UUID
    state: str
    started_at: datetime | None
    finished_at: datetime | None
    undo: UUID | None
    undo_state: str | None


class Matrix:
    """Reads what clients know of their runs. However many there are, it asks once for all of them, and for the history
    of those alone that may have gone on since it looked last: whoever watches a wave keeps one."""

    def __init__(self) -> None:
        self._ended: dict[UUID, tuple[datetime, dict[str, str]]] = {}

    async def of(self, ctx: Context, targets: Sequence[WaveTarget]) -> dict[UUID, Json]:
        """``steps``, ``now``, ``undo`` and ``undo_state`` (:class:`app.services.wave_views.TargetView`) by client, for
        those whose runs the reader may read and that have one."""
        if ctx.actor.account_id is None:
            return {}
        mine = {client.id: client for client in await clients.clients_of(ctx.actor) if _may_read(ctx.actor, client)}
        begun = {
            target.target: target.target_run
            for target in targets
            if target.target in mine and target.target_run is not None and target.state != "preparing"
        }
        heads = await _heads(ctx.actor, begun) if begun else []
        gate = asyncio.Semaphore(_AT_ONCE)

        async def inside(head: _Head) -> Json:
            async with gate:
                steps = await self._steps(ctx.actor, mine[head.client_id], head)
            known = {"steps": steps, "now": head.state}
            return known | ({"undo": head.undo, "undo_state": head.undo_state} if head.undo else {})

        found = await asyncio.gather(*map(inside, heads))
        return {head.client_id: known for head, known in zip(heads, found, strict=True)}

    async def _steps(self, actor: Actor, client: ClientView, head: _Head) -> dict[str, str]:
        if head.started_at is None:
            return {}
        ended, steps = self._ended.get(head.run_id, (None, {}))
        if ended is None or ended != head.finished_at:
            steps = await step_states(clients.context_of(actor, client), head.run_id)
            if head.finished_at:
                self._ended[head.run_id] = head.finished_at, steps
        return steps


async def told_of(ctx: Context, targets: Sequence[WaveTarget]) -> set[UUID]:
    """The clients of ``targets`` whose runs the reader may read: for whoever owns this machine, all of them."""
    if ctx.actor.account_id is None:
        return {target.target for target in targets}
    return {client.id for client in await clients.clients_of(ctx.actor) if _may_read(ctx.actor, client)}


def _may_read(actor: Actor, client: ClientView) -> bool:
    return "run.read" in clients.context_of(actor, client).permissions


async def _heads(actor: Actor, begun: dict[UUID, UUID]) -> list[_Head]:
    """The runs by client, each by its own key: it costs no more where a client has millions."""
    each = (
        func.unnest(list(begun), list(begun.values()))
        .table_valued(column("client_id", UUID_TYPE), column("run_id", UUID_TYPE), name="each")
        .render_derived()
    )
    undo = _newest_undo(each)
    of_each: ColumnElement[bool] = (col(Run.client_id) == each.c.client_id) & (col(Run.id) == each.c.run_id)
    query = (
        select(Run.client_id, Run.id, Run.state, Run.started_at, Run.finished_at, undo.c.id, undo.c.state)
        .select_from(each)
        .join(Run, of_each & col(Run.version).is_not(None))
        .outerjoin(undo, true())
    )
    async with overview_session(actor) as session:
        return [_Head(*row) for row in (await session.exec(query)).all()]


def _newest_undo(each: FromClause) -> FromClause:
    undo = aliased(Run)
    return (
        select(undo.id, undo.state)
        .where(undo.client_id == each.c.client_id, undo.of == each.c.run_id, undo.mode == "apply")
        .order_by(col(undo.id).desc())
        .limit(1)
        .lateral("undo")
    )
