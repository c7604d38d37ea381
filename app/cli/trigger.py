"""trigger list | show | create | enable | disable | fire | preview | firings | secret | remove | drift."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from app.cli.acting import As, Client, context
from app.cli.common import Json, emit, run
from app.core.context import Context
from app.core.errors import Invalid, Problem

app = typer.Typer()
_EVENTS = "run_ended | approval_decided | people_asked | people_reminded | drift_found | drift_cleared | change_seen"

TriggerId = Annotated[UUID, typer.Argument(help="The trigger's id.")]
FAILED = 1


def _do(verb: Callable[[Context], Awaitable[Any]], client: str, as_: str) -> Any:
    async def work() -> Any:
        return await verb(await context(client, as_))

    return run(work())


@app.command("list")
def list_(client: Client, as_: As = "", json: Json = False) -> None:
    """What starts runs by itself."""

    async def work(ctx: Context) -> Any:
        from app.services import triggers

        return await triggers.list_triggers(ctx)

    emit(_do(work, client, as_), as_json=json, human=lambda rows: "\n".join(map(_line, rows)) or "No triggers yet.")


@app.command()
def drift(client: Client, as_: As = "", json: Json = False) -> None:
    """The watches and what they see. Exit status 1 where one sees drift."""

    async def work(ctx: Context) -> Any:
        from app.services import triggers

        return await triggers.list_triggers(ctx, watches=True)

    rows = _do(work, client, as_)
    emit(rows, as_json=json, human=lambda found: "\n".join(map(_drift_line, found)) or "No watches yet.")
    raise typer.Exit(FAILED if any(row.drift.state == "drift" for row in rows) else 0)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    workflow: Annotated[str, typer.Option(help="The workflow's name or id.")],
    client: Client,
    cron: Annotated[str, typer.Option(help="A schedule: minute, hour, day of month, month, day of week.")] = "",
    zone: Annotated[str, typer.Option(help="Its time zone, such as Europe/Paris.")] = "UTC",
    webhook: Annotated[str, typer.Option(help="A webhook, proved by: signature | secret.")] = "",
    on: Annotated[str, typer.Option(help=f"An event: {_EVENTS}.")] = "",
    config: Annotated[Path | None, typer.Option(help="More of its configuration, as a JSON file.")] = None,
    input_: Annotated[list[str], typer.Option("--input", help="An input as name=value or name={{ payload.x }}.")] = [],  # noqa: B006
    mode: Annotated[str, typer.Option(help="plan: only look. apply: do it.")] = "plan",
    version: Annotated[int | None, typer.Option(help="Always this version, instead of the published one.")] = None,
    watch: Annotated[bool, typer.Option(help="A plan that is not empty is drift.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Do not switch it on yet.")] = False,
    as_: As = "",
    json: Json = False,
) -> None:
    """Have runs of a workflow start by themselves: with --cron, --webhook or --on."""
    kind, chosen = _kind(cron, zone, webhook, on)
    settings = {**(_read(config) if config else {}), **chosen}

    async def work(ctx: Context) -> Any:
        from app.services import triggers
        from app.services.triggers.inputs import typed_inputs

        inputs = await typed_inputs(ctx, workflow, version, dict(_pair(text) for text in input_))
        return await triggers.create(
            ctx, name=name, kind=kind, workflow=workflow, version=version, mode=mode, inputs=inputs, config=settings,
            watch=watch, enabled=not off,
        )  # fmt: skip

    emit(_do(work, client, as_), as_json=json, human=_made)


@app.command()
def show(trigger: TriggerId, client: Client, as_: As = "", json: Json = False) -> None:
    """One trigger."""

    async def work(ctx: Context) -> Any:
        from app.services import triggers

        return await triggers.get(ctx, trigger)

    emit(_do(work, client, as_), as_json=json, human=_told)


@app.command()
def enable(trigger: TriggerId, client: Client, as_: As = "", json: Json = False) -> None:
    """Switch it on: its runs start in your name."""
    _switch(trigger, client, as_, json, on=True)


@app.command()
def disable(trigger: TriggerId, client: Client, as_: As = "", json: Json = False) -> None:
    """Switch it off."""
    _switch(trigger, client, as_, json, on=False)


def _switch(trigger: UUID, client: str, as_: str, json: bool, *, on: bool) -> None:
    async def work(ctx: Context) -> Any:
        from app.services import triggers

        return await triggers.switch(ctx, trigger, on=on)

    emit(_do(work, client, as_), as_json=json, human=_told)


@app.command()
def fire(
    trigger: TriggerId,
    client: Client,
    key: Annotated[str, typer.Option("--idempotency-key", help="The same key fires once.")] = "",
    as_: As = "",
    json: Json = False,
) -> None:
    """Fire a schedule now, in your own name. Exit status 1 where nothing was started."""

    async def work(ctx: Context) -> Any:
        from app.services import triggers

        return await triggers.fire_now(ctx, trigger, idempotency_key=key or None)

    found = _do(work, client, as_)
    emit(found, as_json=json, human=_firing)
    raise typer.Exit(0 if found.outcome == "started" else FAILED)


@app.command()
def preview(
    cron: Annotated[str, typer.Argument(help="The schedule, in quotes.")],
    client: Client,
    zone: Annotated[str, typer.Option(help="Its time zone, such as Europe/Paris.")] = "UTC",
    count: Annotated[int, typer.Option(min=1, max=50)] = 10,
    as_: As = "",
    json: Json = False,
) -> None:
    """The coming times of a schedule, or what is wrong with it."""

    async def work(ctx: Context) -> Any:
        from app.services import triggers

        return await triggers.preview(ctx, cron=cron, zone=zone, count=count)

    emit(_do(work, client, as_), as_json=json, human=lambda found: "\n".join(_in_zone(at, zone) for at in found.times))


@app.command()
def firings(
    trigger: TriggerId,
    client: Client,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    as_: As = "",
    json: Json = False,
) -> None:
    """What came of each firing, newest first."""

    async def work(ctx: Context) -> Any:
        from app.services import triggers

        return await triggers.firings(ctx, trigger, limit=limit)

    emit(_do(work, client, as_), as_json=json, human=lambda rows: "\n".join(map(_firing, rows)) or "Not fired yet.")


@app.command()
def secret(trigger: TriggerId, client: Client, as_: As = "", json: Json = False) -> None:
    """Give a webhook a new address and secret, shown this once; the old ones end."""

    async def work(ctx: Context) -> Any:
        from app.services import triggers

        return await triggers.renew_secret(ctx, trigger)

    emit(_do(work, client, as_), as_json=json, human=_made)


@app.command()
def remove(trigger: TriggerId, client: Client, as_: As = "", json: Json = False) -> None:
    """Take it away; its history stays."""

    async def work(ctx: Context) -> Any:
        from app.services import triggers

        await triggers.remove(ctx, trigger)
        return {"removed": str(trigger)}

    emit(_do(work, client, as_), as_json=json, human=lambda _: "Removed.")


def _kind(cron: str, zone: str, webhook: str, on: str) -> tuple[str, dict[str, Any]]:
    """The kind that was asked for. Raises Invalid unless there is exactly one."""
    if sum(map(bool, (cron, webhook, on))) != 1:
        message = "Give one of --cron, --webhook and --on."
        raise Invalid(message, problems=[Problem("not_one_of", message, field="--cron")])
    if cron:
        return "schedule", {"cron": cron, "zone": zone}
    return ("webhook", {"auth": webhook}) if webhook else ("event", {"on": on})


def _read(file: Path) -> dict[str, Any]:
    try:
        found = jsonlib.loads(file.read_text())
    except (OSError, ValueError) as error:
        message = f"{file} is not readable JSON: {error}."
        raise Invalid(message, code="not_json", problems=[Problem("not_json", message, field="--config")]) from None
    if not isinstance(found, dict):
        message = f"{file} has to be a JSON object."
        raise Invalid(message, code="not_json", problems=[Problem("not_json", message, field="--config")])
    return found


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        message = f"An input is name=value, not {text!r}."
        raise Invalid(message, problems=[Problem("not_a_pair", message, field="--input")])
    return name.strip(), value


def _in_zone(at: Any, zone: str) -> str:
    from zoneinfo import ZoneInfo

    return f"{at.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M %Z}"


def _line(row: Any) -> str:
    following = f"{row.next[0]:%Y-%m-%d %H:%M} UTC" if row.next else ""
    return f"{row.id}  {row.state:<8} {row.kind:<8} {row.mode:<6} {row.name:<30} {row.workflow_name:<30} {following}"


def _drift_line(row: Any) -> str:
    counts = ", ".join(f"{number} {name}" for name, number in row.drift.counts.items() if number)
    since = f"since {row.drift.since:%Y-%m-%d %H:%M} UTC" if row.drift.since else ""
    failed = f"  the last check failed: {row.drift.error.get('code', '')}" if row.drift.error else ""
    return f"{row.drift.state:<8} {row.name:<30} {counts} {since}".rstrip() + failed


def _told(row: Any) -> str:
    lines = [_line(row), f"  in the name of {row.on_behalf_of or 'nobody'}"]
    lines += [f"  address {row.url}"] if row.url else []
    lines += [f"  stopped: {row.stopped['code']}"] if row.stopped else []
    lines += [f"  {_drift_line(row)}"] if row.drift else []
    return "\n".join(lines)


def _made(row: Any) -> str:
    return _told(row) + (f"\n  secret (shown this once) {row.secret}" if row.secret else "")


def _firing(row: Any) -> str:
    why = (row.why or {}).get("code", "")
    return f"{row.at:%Y-%m-%d %H:%M:%S}  {row.outcome:<8} {row.run or ''} {why}".rstrip()
