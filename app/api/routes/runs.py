"""Runs: start, look, follow, pause, cancel, undo, retry, run again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.api.bodies import Again, NewRun, Retry, Settle, Undo
from app.api.preferences import wait_preferred
from app.api.streams import stream
from app.api.who import InClient, SignedInActor
from app.core.context import Context
from app.core.errors import Missing
from app.services import all_runs, reveals, runs
from app.services.all_runs import ClientRun
from app.services.run_views import RunRow, RunView

router = APIRouter(prefix="/clients/{client}/runs", tags=["runs"])
over_all = APIRouter(prefix="/runs", tags=["runs"])


@router.get("")
async def list_runs(
    ctx: InClient,
    state: Annotated[list[str] | None, Query()] = None,
    workflow: UUID | None = None,
    mode: str | None = None,
    kind: str | None = None,
    search: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[RunRow]:
    """The client's runs, newest first. ``before`` is the id of the last run of the page before; fewer runs than
    ``limit`` are the last ones.

    ``search`` is beginnings of words of label, inputs or error; with it, the rows of batches are found too. Where too
    many runs have the words to look through them all (422, ``search_too_wide``), a longer word or a time narrows it.
    """
    return await runs.list_runs(
        ctx,
        state=state or (),
        workflow=workflow,
        mode=mode,
        kind=kind,
        search=search,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )


@over_all.get("")
async def list_all_runs(
    actor: SignedInActor,
    client: Annotated[list[str] | None, Query()] = None,
    tag: str = "",
    state: Annotated[list[str] | None, Query()] = None,
    mode: str | None = None,
    kind: str | None = None,
    search: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[ClientRun]:
    """The newest runs of every client whose runs the actor may read, or of those with these short names or this tag."""
    return await all_runs.list_all(
        actor,
        only=client or (),
        tag=tag,
        state=state or (),
        mode=mode,
        kind=kind,
        search=search,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )


@router.post("", status_code=201)
async def start(
    ctx: InClient, body: NewRun, response: Response, prefer: Annotated[str, Header(max_length=200)] = ""
) -> RunView:
    """Start a run, or with ``rows`` a batch. The same idempotency key gives the run that it started the first time.

    With the header ``Prefer: wait=10`` (RFC 7240) the answer comes when the run is over, or after that many seconds (60
    at most) with the run as it is then.
    """
    wait_s = wait_preferred(prefer)
    if wait_s is None:
        return await runs.get(ctx, await _started(ctx, body))
    response.headers["Preference-Applied"] = f"wait={wait_s}"
    async with runs.listening(ctx, begun=body.idempotency_key is not None) as outcome:
        return await outcome(await _started(ctx, body), wait_s)


async def _started(ctx: Context, body: NewRun) -> UUID:
    if body.plan:
        return await runs.start_planned(ctx, workflow=body.workflow, plan=body.plan, **_asked(body))
    if body.rows is not None:
        return await runs.start_batch(
            ctx,
            workflow=body.workflow,
            rows=body.rows,
            mode=body.mode,
            skip_invalid=body.skip_invalid,
            version=body.version,
            idempotency_key=body.idempotency_key,
            priority=body.priority or "normal",
        )
    return await runs.start(ctx, workflow=body.workflow, **_asked(body))


def _asked(body: NewRun) -> dict[str, Any]:
    return body.model_dump(include={"inputs", "mode", "version", "idempotency_key", "priority", "only_node"})


@router.get("/{run_id}")
async def get(
    ctx: InClient,
    run_id: UUID,
    at: Annotated[int | datetime | None, Query(union_mode="left_to_right")] = None,
    rows: bool = True,
) -> RunView:
    """One run with its steps, plan, approvals and secrets to hand over. With ``at`` (the number of an event, or a time
    with its zone) as it was at that moment. A large batch is better asked for without its ``rows``; their own address
    gives some at a time."""
    return await (runs.get(ctx, run_id, rows=rows) if at is None else runs.at(ctx, run_id, at))


@router.get("/{run_id}/rows")
async def rows(
    ctx: InClient,
    run_id: UUID,
    state: Annotated[list[str] | None, Query()] = None,
    search: Annotated[str, Query(max_length=500)] = "",
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int | None, Query(ge=1, le=10_000)] = None,
) -> list[RunRow]:
    """The rows of a batch in the table's order: those in one of the states, with the words of ``search`` in their
    label. ``after`` is the number of the last row of the page before; fewer rows than ``limit`` are the last ones."""
    return await runs.rows_of(ctx, run_id, state=state or (), search=search, after=after, limit=limit)


@router.post("/{run_id}/cancel", status_code=202)
async def cancel(ctx: InClient, run_id: UUID) -> RunView:
    """Ask it to stop: nothing new is started, looks are cut off, a write that was sent is awaited."""
    await runs.cancel(ctx, run_id)
    return await runs.get(ctx, run_id)


@router.post("/{run_id}/pause", status_code=202)
async def pause(ctx: InClient, run_id: UUID) -> RunView:
    """Ask a run, or all rows of a batch, to pause: what is being done is finished, nothing new starts."""
    await runs.pause(ctx, run_id)
    return await runs.get(ctx, run_id)


@router.post("/{run_id}/resume", status_code=202)
async def resume(ctx: InClient, run_id: UUID) -> RunView:
    """Let a paused run, or all paused rows of a batch, go on."""
    await runs.resume(ctx, run_id)
    return await runs.get(ctx, run_id)


@router.post("/{run_id}/again", status_code=201)
async def again(ctx: InClient, run_id: UUID, body: Again) -> RunView:
    """Start a run of the same version that begins at some steps and keeps what came before; gives that run."""
    given = body.model_dump(include={"nodes", "outputs", "mode", "idempotency_key"})
    started = await runs.again(ctx, run_id, **given)
    return await runs.get(ctx, started)


@router.post("/{run_id}/undo", status_code=201)
async def undo(ctx: InClient, run_id: UUID, body: Undo | None = None) -> RunView:
    """Start the reverse of a run; gives that run."""
    return await runs.get(ctx, await runs.undo(ctx, run_id, mode=(body or Undo()).mode))


@router.post("/{run_id}/retry", status_code=202)
async def retry(ctx: InClient, run_id: UUID, body: Retry | None = None) -> RunView:
    """Try failed steps again in the same run."""
    await runs.retry(ctx, run_id, nodes=(body or Retry()).nodes)
    return await runs.get(ctx, run_id)


@router.post("/{run_id}/settle", status_code=202)
async def settle(ctx: InClient, run_id: UUID, body: Settle) -> RunView:
    """Say what became of a step whose outcome nobody knows."""
    await runs.settle(ctx, run_id, node=body.node, outcome=body.outcome, output=body.output)
    return await runs.get(ctx, run_id)


@router.post("/{run_id}/reveals/{reveal_id}/link", status_code=201)
async def reveal_link(ctx: InClient, run_id: UUID, reveal_id: UUID) -> dict[str, str]:
    """A one-time link to a generated secret, to hand to whoever it is for. An older link to it ends."""
    if reveal_id not in {each.id for each in (await runs.get(ctx, run_id)).reveals}:
        raise Missing("secret")
    made = await reveals.create_link(ctx, reveal_id)
    return {"url": made.url, "expires_at": made.expires_at.isoformat()}


@router.get("/{run_id}/events", response_class=StreamingResponse)
async def events(request: Request, ctx: InClient, run_id: UUID) -> StreamingResponse:
    """The run now and after each change, as server-sent events named ``run``; ``end`` comes last. A batch comes without
    its rows."""
    await runs.get(ctx, run_id, rows=False)
    source = runs.events(ctx, run_id)
    return stream(request, ctx, "run", source, lambda view: view.model_dump(mode="json"))
