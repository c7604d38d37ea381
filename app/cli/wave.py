"""wave start | list | show | pause | resume | cancel | undo."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from app.cli.acting import As, Client, context
from app.cli.common import Json, Mode, emit, run
from app.cli.starting import inputs_from
from app.core.context import Context
from app.core.errors import Invalid, Problem

app = typer.Typer()
WaveId = Annotated[UUID, typer.Argument(help="The wave's id.")]


@app.command()
def start(
    workflow: Annotated[str, typer.Argument(help="Name or id of a workflow of this client.")],
    client: Client,
    to: Annotated[list[str], typer.Option(help="A client's short name; may be repeated.")] = [],  # noqa: B006
    tag: Annotated[list[str], typer.Option(help="Every client with this tag; may be repeated.")] = [],  # noqa: B006
    canary: Annotated[list[str], typer.Option(help="A client of the first stage; may be repeated.")] = [],  # noqa: B006
    percents: Annotated[str, typer.Option(help="Shares of all clients after which a stage ends.")] = "10,50",
    pause: Annotated[str, typer.Option(help="Seconds between two stages, or manual.")] = "0",
    stop_at: Annotated[float, typer.Option(help="Stop when more than this percent of the runs failed.")] = 20.0,
    mode: Mode = "plan",
    plan: Annotated[UUID | None, typer.Option(help="The wave of mode plan that this one carries out.")] = None,
    priority: Annotated[str, typer.Option(help="low, normal or high, among each client's runs.")] = "normal",
    key: Annotated[str, typer.Option("--idempotency-key", help="The same key starts one wave only.")] = "",
    input_: Annotated[list[str], typer.Option("--input", help="name=value; may be repeated.")] = [],  # noqa: B006
    as_: As = "",
    json: Json = False,
) -> None:
    """Run one workflow over many clients, stage by stage."""

    shares, seconds = _shares(percents), _pause(pause)

    async def work(ctx: Context) -> UUID:
        from app.services import waves

        return await waves.start(
            ctx,
            workflow=workflow,
            inputs=await inputs_from(ctx, workflow, None, input_),
            mode=mode,
            to=to,
            tags=tag,
            canary=canary,
            percents=shares,
            pause_s=seconds,
            stop_at_percent=stop_at,
            plan=plan,
            idempotency_key=key or None,
            priority=priority,
        )

    _then_show(work, client, as_, json)


def _shares(text: str) -> list[float]:
    """Raises Invalid."""
    try:
        return [float(part.strip().removesuffix("%")) for part in text.split(",") if part.strip()]
    except ValueError:
        message = f"Shares are numbers with commas between them, as 10,50, not {text!r}."
        raise Invalid(message, problems=[Problem("bad_percent", message, field="--percents")]) from None


def _pause(text: str) -> float | Literal["manual"]:
    """Raises Invalid."""
    try:
        return "manual" if text.strip() == "manual" else float(text)
    except ValueError:
        message = f"A pause is a number of seconds, or manual, not {text!r}."
        raise Invalid(message, problems=[Problem("bad_pause", message, field="--pause")]) from None


@app.command("list")
def list_(client: Client, as_: As = "", json: Json = False) -> None:
    """The waves that were started from this client, newest first."""

    async def work() -> Any:
        from app.services import waves

        return await waves.list_waves(await context(client, as_))

    emit(run(work()), as_json=json, human=lambda found: "\n".join(map(_line, found)) or "No waves yet.")


@app.command()
def show(wave_id: WaveId, client: Client, as_: As = "", json: Json = False) -> None:
    """One wave, client by client."""
    _then_show(lambda ctx: _same(wave_id), client, as_, json)


@app.command()
def pause(wave_id: WaveId, client: Client, as_: As = "", json: Json = False) -> None:
    """Let nothing further begin, no stage and no queued run; runs that have begun go on."""
    _then_show(_asking("pause", wave_id), client, as_, json)


@app.command()
def resume(wave_id: WaveId, client: Client, as_: As = "", json: Json = False) -> None:
    """Go on: after a pause, after too many failures, or with the next stage."""
    _then_show(_asking("resume", wave_id), client, as_, json)


@app.command()
def cancel(wave_id: WaveId, client: Client, as_: As = "", json: Json = False) -> None:
    """Ask every run to stop; clients whose stage has not begun are not run."""
    _then_show(_asking("cancel", wave_id), client, as_, json)


@app.command()
def undo(
    wave_id: WaveId,
    client: Client,
    mode: Mode = "plan",
    as_: As = "",
    json: Json = False,
) -> None:
    """Take back what the wave did, in each client by an undo of its own. Who has none says why."""

    async def work() -> Any:
        from app.services import wave_undos

        return await wave_undos.undo(await context(client, as_), wave_id, mode=mode)

    emit(run(work()), as_json=json, human=lambda found: "\n".join(map(_undone, found)))


def _undone(target: Any) -> str:
    return f"  {target.client:<24} {target.undo or _why(target.reason)}".rstrip()


def _asking(verb: str, wave_id: UUID) -> Callable[[Context], Awaitable[UUID]]:
    async def work(ctx: Context) -> UUID:
        from app.services import waves

        await getattr(waves, verb)(ctx, wave_id)
        return wave_id

    return work


async def _same(wave_id: UUID) -> UUID:
    return wave_id


def _then_show(work: Callable[[Context], Awaitable[UUID]], client: str, as_: str, json: bool) -> None:
    async def both() -> Any:
        from app.services import waves

        ctx = await context(client, as_)
        return await waves.get(ctx, await work(ctx), matrix=waves.Matrix())

    emit(run(both()), as_json=json, human=_told)


def _line(view: Any) -> str:
    return f"{view.id}  {view.created_at:%Y-%m-%d %H:%M}  {view.state:<10} {view.mode:<6} {view.workflow_name}"


def _told(view: Any) -> str:
    head = f"{_line(view)}\nstage {view.begun} of {view.stages}"
    why = f" ({view.reason['code']})" if view.reason else ""
    return "\n".join([head + why, *map(_row, view.targets)])


def _row(target: Any) -> str:
    why = f"now {target.now}" if target.now else _why(target.reason)
    return f"  {target.stage + 1}  {target.state:<10} {target.client:<24} {why}".rstrip()


def _why(reason: dict[str, Any] | None) -> str:
    return str(reason.get("message") or reason["code"]) if reason else ""
