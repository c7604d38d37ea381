"""workflow import | list | export | run."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from app.cli.acting import As, Client, context
from app.cli.common import Json, Mode, emit, run
from app.cli.runview import ending, told
from app.core.errors import Invalid, Problem

app = typer.Typer()


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A workflow document (JSON); - for standard input.")],
    client: Client,
    as_: As = "",
    json: Json = False,
) -> None:
    """Create the workflow, or add a version to the one of that name, and publish it."""
    document = _document(file)

    async def work() -> Any:
        from app.services import workflows

        return await workflows.import_document(await context(client, as_), document=document)

    found = run(work())
    emit(found, as_json=json, human=lambda made: f"{made.name}: version {made.version} is published.")


def _document(file: Path) -> Any:
    try:
        found = jsonlib.loads(sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Invalid(f"{file} cannot be read.", problems=[_wrong(str(error.strerror))]) from None
    except ValueError as error:
        raise Invalid(f"{file} is not JSON.", code="not_json", problems=[_wrong(str(error))]) from None
    if not isinstance(found, dict):
        message = "A workflow document is a JSON object."
        raise Invalid(f"{file} holds no workflow.", code="document_invalid", problems=[_wrong(message)])
    return found


def _wrong(reason: str) -> Problem:
    return Problem("not_json", reason, field="FILE")


@app.command("list")
def list_(client: Client, as_: As = "", json: Json = False) -> None:
    """The client's workflows."""

    async def work() -> Any:
        from app.services import workflows

        return await workflows.list_workflows(await context(client, as_))

    emit(run(work()), as_json=json, human=lambda rows: "\n".join(_line(row) for row in rows) or "No workflows yet.")


def _line(row: Any) -> str:
    published = f"v{row.published_version}" if row.published_version else "draft"
    return f"{row.name:<40} {published:<8} {row.steps:>3} steps  {row.last_run_state or ''}"


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="The workflow's name or id.")],
    client: Client,
    as_: As = "",
) -> None:
    """The draft as JSON on standard output."""

    async def work() -> Any:
        from app.services import workflows

        return (await workflows.get(await context(client, as_), name)).draft

    print(jsonlib.dumps(run(work()), indent=2, ensure_ascii=False))


@app.command("run")
def run_(
    name: Annotated[str, typer.Argument(help="The workflow's name or id.")],
    client: Client,
    input_: Annotated[list[str], typer.Option("--input", help="An input as name=value; may be repeated.")] = [],  # noqa: B006
    inputs_csv: Annotated[
        Path | None, typer.Option(help="A table: one run a row, planned and approved as one.")
    ] = None,
    skip_invalid: Annotated[bool, typer.Option(help="Hold wrong rows back instead of starting nothing.")] = False,
    mode: Mode = "plan",
    plan: Annotated[UUID | None, typer.Option(help="Id of the plan run whose seal must still hold.")] = None,
    version: Annotated[int | None, typer.Option(help="Another version than the published one.")] = None,
    priority: Annotated[
        str, typer.Option(help="low, normal or high: which of the client's runs go first. Left out, as its plan.")
    ] = "",
    key: Annotated[str, typer.Option("--idempotency-key", help="The same key starts one run only.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds to wait for the end; 0 returns at once.")] = 300,
    as_: As = "",
    json: Json = False,
) -> None:
    """Run a workflow (mode plan only looks) and show what became of it.

    Exit status 3 means that it waits for a person.
    """

    async def work() -> Any:
        from app.cli.starting import Start, begin_and_wait

        asked = Start(name, input_, inputs_csv, skip_invalid, mode, plan, version, key, priority)
        return await begin_and_wait(await context(client, as_), asked, wait)

    found = run(work())
    emit(found, as_json=json, human=told)
    raise typer.Exit(ending(found))
