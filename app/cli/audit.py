"""audit export and verify: the audit trail as a file, and whether such a file is as it was written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.common import FAILED, Json, emit, local_settings, run
from app.core.errors import Invalid, Problem

app = typer.Typer()


@app.callback()
def audit() -> None:
    """Export the audit trail, and check an export."""


@app.command()
def export(
    client: Annotated[str, typer.Option("--client", help="The client's slug.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of stdout.")] = None,
) -> None:
    """Write the whole trail of a client, one JSON object a line, with signed checkpoints."""
    if output is None:
        run(_export(client, sys.stdout))
        return
    with output.open("w", encoding="utf-8") as file:
        run(_export(client, file))


async def _export(client: str, file: Any) -> None:
    from app.cli.acting import context
    from app.services import audit as trail

    async for line in trail.export(await context(client)):
        file.write(line)


@app.command()
def key(json: Json = False) -> None:
    """The name of this installation's signing key. Keep it elsewhere and give it to `verify --key`."""
    from app.core.chain import Signer

    path = local_settings().audit_signing_key
    if path is None:
        raise Invalid("No audit signing key is set up.")
    found = Signer(path.read_bytes()).key_id
    emit({"key_id": found}, as_json=json, human=lambda told: str(told["key_id"]))


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="An export; - reads stdin.")],
    key: Annotated[list[str] | None, typer.Option("--key", help="A key you trust (its name). Can be repeated.")] = None,
    earlier: Annotated[Path | None, typer.Option("--earlier", help="An older export of the same client.")] = None,
    json: Json = False,
) -> None:
    """Check an export, without a server. Exit status 1 where anything was changed, removed, moved or cut off."""
    from app.core.chain_export import verify_export

    report = verify_export(_lines(file), trusted=key or (), earlier=_lines(earlier) if earlier else ())
    emit(report.as_json(), as_json=json, human=_told)
    if not report.ok:
        raise typer.Exit(FAILED)


def _lines(path: Path) -> list[str]:
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return raw.decode("utf-8").split("\n")  # splitlines() would also split at U+2028, which JSON may hold
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read: {error}"
        raise Invalid(
            message, code="file_unreadable", problems=[Problem("file_unreadable", message, field="FILE")]
        ) from None


def _told(report: dict[str, Any]) -> str:
    if report["ok"]:
        trust = {True: "a key you trust", False: "a key you do not trust", None: f"{report['key_id']} (not compared)"}
        return (
            f"Whole: {report['events']} events of {report['client']}, {report['checkpoints']} checkpoints, "
            f"signed with {trust[report['key_trusted']]}."
        )
    lines = [f"Not as it was written: {len(report['findings'])} findings."]
    for finding in report["findings"]:
        place = ", ".join(f"{name} {finding[name]}" for name in ("line", "seq") if name in finding)
        lines.append(f"  {finding['kind']}{f' ({place})' if place else ''}: {finding['message']}")
    return "\n".join(lines)
