"""Runs of all the clients that one may look into, as one list: what failed today, wherever it was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import UUID as UUID_TYPE
from sqlalchemy import column, true
from sqlalchemy.orm import aliased
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Actor, Context
from app.core.errors import Missing
from app.data.models.runs import Run
from app.data.models.workflows import Workflow
from app.data.session import overview_session, tenant_session
from app.services import clients
from app.services.clients import ClientView
from app.services.run_search import Found, Wanted, conditions, newest_fitting, older
from app.services.run_views import RunRow, row_fields

PAGE = 50
# Words are looked up client by client; these are asked beside each other.
_AT_ONCE = 4
_NOBODY = UUID(int=0)


class ClientRun(RunRow):
    """A run as the list over all clients shows it."""

    client: UUID
    client_slug: str
    client_name: str


async def list_all(
    actor: Actor,
    *,
    only: Sequence[str] = (),
    tag: str = "",
    state: Sequence[str] = (),
    mode: str | None = None,
    kind: str | None = None,
    search: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    limit: int = PAGE,
) -> list[ClientRun]:
    """The newest runs of every client whose runs the actor may read, or of those that ``only`` (short names) and
    ``tag`` name. The rest is as in :func:`app.services.runs.list_runs`; the rows of a batch are left to the batch.

    Raises Missing where ``only`` names a client that the actor may not look into.
    """
    seen = await _seen(actor, only, tag)
    wanted = Wanted(_NOBODY, state, None, mode, kind, search, since, until, before, limit)
    if not seen:
        return []
    if search.strip():
        found = await _by_words(actor, seen, wanted)
    else:
        async with overview_session(actor) as session:
            found = await _newest(session, list(seen), wanted)
    return [_row(seen[run.client_id], run, name) for run, name in found]


async def _seen(actor: Actor, only: Sequence[str], tag: str) -> Mapping[UUID, ClientView]:
    found = [one for one in await clients.clients_of(actor) if "run.read" in clients.context_of(actor, one).permissions]
    if not {one.slug for one in found}.issuperset(only):
        raise Missing("client")
    wanted = [one for one in found if (not only or one.slug in only) and (not tag or tag in one.tags)]
    return {one.id: one for one in wanted}


async def _newest(session: AsyncSession, seen: list[UUID], wanted: Wanted) -> list[Found]:
    """A page of each client, by its own index, and of those the newest: it costs no more where one has millions."""
    each = func.unnest(seen).table_valued(column("client_id", UUID_TYPE), name="each").render_derived()
    page = (
        select(Run)
        .where(col(Run.client_id) == each.c.client_id, col(Run.parent).is_(None), *conditions(wanted), *older(wanted))
        .order_by(col(Run.id).desc())
        .limit(wanted.most)
        .lateral("page")
    )
    run = aliased(Run, page)
    flow = (col(Workflow.client_id) == run.client_id) & (col(Workflow.id) == run.workflow_id)
    query = (
        select(run, Workflow.name)
        .select_from(each)
        .join(page, true())
        .join(Workflow, flow)
        .order_by(page.c.id.desc())
        .limit(wanted.most)
    )
    return [(found, name) for found, name in (await session.exec(query)).all()]


async def _by_words(actor: Actor, seen: Mapping[UUID, ClientView], wanted: Wanted) -> list[Found]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def of(ctx: Context) -> list[Found]:
        async with gate, tenant_session(ctx) as session:
            return await newest_fitting(session, replace(wanted, client_id=ctx.client_id))

    parts = await asyncio.gather(*(of(clients.context_of(actor, one)) for one in seen.values()))
    return sorted((row for part in parts for row in part), key=lambda row: row[0].id, reverse=True)[: wanted.most]


def _row(client: ClientView, run: Run, name: str) -> ClientRun:
    return ClientRun(**row_fields(run, name), client=client.id, client_slug=client.slug, client_name=client.name)
