"""run list | show | pause | resume | cancel | undo | retry | again | settle | approve | deny."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from app.cli.acting import As, Client, actor, context
from app.cli.common import Json, Mode, emit, run
from app.cli.runview import ending, told
from app.core.context import Context

app = typer.Typer()

RunId = Annotated[UUID, typer.Argument(help="The run's id.")]
Wait = Annotated[float, typer.Option(help="Seconds to wait for the end; 0 returns at once.")]


@app.command("list")
def list_(
    client: Annotated[str, typer.Option(help="The client's slug; without it, all that you may look into.")] = "",
    state: Annotated[list[str], typer.Option(help="Only runs in this state; may be repeated.")] = [],  # noqa: B006
    search: Annotated[str, typer.Option(help="Beginnings of words of label, inputs or error.")] = "",
    tag: Annotated[str, typer.Option(help="Only clients with this tag.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    as_: As = "",
    json: Json = False,
) -> None:
    """The runs of a client, or of all, newest first."""

    async def work() -> Any:
        from app.services import all_runs, runs

        if client:
            return await runs.list_runs(await context(client, as_), state=state, search=search, limit=limit)
        return await all_runs.list_all(await actor(as_), tag=tag, state=state, search=search, limit=limit)

    emit(run(work()), as_json=json, human=lambda rows: "\n".join(map(_line, rows)) or "No runs yet.")


def _line(row: Any) -> str:
    client = f"{row.client_slug:<20} " if hasattr(row, "client_slug") else ""
    told = f"{row.created_at:%Y-%m-%d %H:%M}  {row.state:<10} {row.mode:<6} {row.workflow_name}  {row.label}"
    return f"{client}{row.id}  {told}"


@app.command()
def show(
    run_id: RunId,
    client: Client,
    at: Annotated[str, typer.Option(help="As it was: the number of an event, or a time with its zone.")] = "",
    as_: As = "",
    json: Json = False,
) -> None:
    """One run: its plan, its steps, what it waits for."""
    if not at:
        _then_show(lambda ctx: _same(run_id), client, as_, json, 0)
        return

    async def work() -> Any:
        from app.services import runs

        return await runs.at(await context(client, as_), run_id, _moment(at))

    emit(run(work()), as_json=json, human=told)


def _moment(text: str) -> int | datetime:
    try:
        return int(text) if text.isdigit() else datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("a number, or a time such as 2026-01-31T09:00:00Z", param_hint="--at") from None


@app.command()
def pause(run_id: RunId, client: Client, wait: Wait = 60, as_: As = "", json: Json = False) -> None:
    """Ask a run, or every row of a batch, to pause: what is being done is finished, nothing new starts."""

    async def work(ctx: Context) -> UUID:
        from app.services import runs

        await runs.pause(ctx, run_id)
        return run_id

    _then_show(work, client, as_, json, wait, wanted="paused")


@app.command()
def resume(run_id: RunId, client: Client, wait: Wait = 300, as_: As = "", json: Json = False) -> None:
    """Let a paused run, or every paused row of a batch, go on."""

    async def work(ctx: Context) -> UUID:
        from app.services import runs

        await runs.resume(ctx, run_id)
        return run_id

    _then_show(work, client, as_, json, wait)


@app.command()
def again(
    run_id: RunId,
    client: Client,
    from_: Annotated[list[str], typer.Option("--from", help="A step to begin at; may be repeated.")],
    output: Annotated[list[str], typer.Option(help="step=JSON in place of what it gave; may be repeated.")] = [],  # noqa: B006
    mode: Mode = "plan",
    key: Annotated[str, typer.Option("--idempotency-key", help="The same key starts one run only.")] = "",
    wait: Wait = 300,
    as_: As = "",
    json: Json = False,
) -> None:
    """A new run of the same version that begins at a step and keeps what came before."""

    async def work(ctx: Context) -> UUID:
        from app.services import runs

        outputs = dict(map(_output, output))
        return await runs.again(ctx, run_id, nodes=from_, outputs=outputs, mode=mode, idempotency_key=key or None)

    _then_show(work, client, as_, json, wait)


def _output(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, jsonlib.loads(value)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not step=JSON", param_hint="--output") from None


@app.command()
def settle(
    run_id: RunId,
    client: Client,
    step: Annotated[str, typer.Option(help="The step whose outcome nobody knows.")],
    outcome: Annotated[Literal["done", "not_done"], typer.Option(help="What became of it.")],
    output: Annotated[str, typer.Option(help="What it gave, as JSON, where later steps read it.")] = "",
    wait: Wait = 300,
    as_: As = "",
    json: Json = False,
) -> None:
    """Say what became of a step whose outcome nobody knows."""
    given = _object(output) if output else None

    async def work(ctx: Context) -> UUID:
        from app.services import runs

        await runs.settle(ctx, run_id, node=step, outcome=outcome, output=given)
        return run_id

    _then_show(work, client, as_, json, wait)


def _object(text: str) -> dict[str, Any]:
    try:
        found = jsonlib.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise typer.BadParameter("it is no JSON object", param_hint="--output")
    return found


@app.command()
def cancel(run_id: RunId, client: Client, wait: Wait = 60, as_: As = "", json: Json = False) -> None:
    """Ask a run to stop: nothing new is started, what is being done is finished."""

    async def work(ctx: Context) -> UUID:
        from app.services import runs

        await runs.cancel(ctx, run_id)
        return run_id

    _then_show(work, client, as_, json, wait, wanted="cancelled")


@app.command()
def undo(
    run_id: RunId,
    client: Client,
    mode: Mode = "apply",
    wait: Wait = 300,
    as_: As = "",
    json: Json = False,
) -> None:
    """Take back what a run did, last step first."""

    async def work(ctx: Context) -> UUID:
        from app.services import runs

        return await runs.undo(ctx, run_id, mode=mode)

    _then_show(work, client, as_, json, wait)


@app.command()
def retry(run_id: RunId, client: Client, wait: Wait = 300, as_: As = "", json: Json = False) -> None:
    """Try a run's failed steps again."""

    async def work(ctx: Context) -> UUID:
        from app.services import runs

        await runs.retry(ctx, run_id)
        return run_id

    _then_show(work, client, as_, json, wait)


@app.command()
def approve(
    approval: Annotated[UUID, typer.Argument(help="The approval's id.")],
    client: Client,
    seal: Annotated[str, typer.Option(help="The seal that you have seen.")],
    otp: Annotated[str, typer.Option(help="The code of your second factor.")],
    as_: As = "",
    wait: Wait = 300,
    json: Json = False,
) -> None:
    """Say yes to what stands under the seal."""
    _decide(approval, client, as_, json, wait, decision="approve", seal=seal, otp=otp, reason="")


@app.command()
def deny(
    approval: Annotated[UUID, typer.Argument(help="The approval's id.")],
    client: Client,
    seal: Annotated[str, typer.Option(help="The seal that you have seen.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever asked.")],
    as_: As = "",
    wait: Wait = 60,
    json: Json = False,
) -> None:
    """Say no, and why."""
    _decide(approval, client, as_, json, wait, decision="deny", seal=seal, otp=None, reason=reason)


def _decide(approval: UUID, client: str, as_: str, json: bool, wait: float, **said: Any) -> None:
    async def work(ctx: Context) -> UUID:
        from app.services import approvals

        return (await approvals.decide(ctx, approval, **said)).run_id

    _then_show(work, client, as_, json, wait)


async def _same(run_id: UUID) -> UUID:
    return run_id


def _then_show(
    work: Callable[[Context], Awaitable[UUID]], client: str, as_: str, json: bool, wait: float, *, wanted: str = ""
) -> None:
    """Do it, wait for what comes of it, show the run, and end with its status; 0 where it came to what was wanted."""

    async def whole() -> Any:
        from app.cli.starting import settled

        ctx = await context(client, as_)
        return await settled(ctx, await work(ctx), wait)

    found = run(whole())
    emit(found, as_json=json, human=told)
    raise typer.Exit(0 if found.state == wanted else ending(found))
