"""up, down, status, otp: the embedded stack."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from app.cli.common import FAILED, Json, emit, local_settings, settings


def register(root: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, down, status, otp):
        root.command()(command)


def up(json: Json = False) -> None:
    """Start everything and wait until it is ready. Quick when it runs already; keeps the data."""
    from app.embedded.progress import Progress
    from app.embedded.stack import up as start

    began = time.monotonic()
    progress = Progress(quiet=json)
    try:
        started = start(settings(), progress)
    except RuntimeError as error:
        typer.echo(f"opsloom: {error}", err=True)
        raise typer.Exit(FAILED) from None
    emit(
        {"url": started.url, "home": str(started.home), "accounts": started.accounts},
        as_json=json,
        human=lambda told: _welcome(told, time.monotonic() - began),
    )


def _welcome(told: dict[str, Any], seconds: float) -> str:
    lines = ["", f"Ready in {seconds:.0f} s: {told['url']}", ""]
    if told["accounts"]:
        lines.append("Sign in as one of these (kept in demo-accounts.json; they were made for this machine):")
        for account in told["accounts"]:
            lines.append(f"  {account['email']:<34} {account['password']:<24} {account.get('role', '')}")
        lines.append("The six-digit code is in your authenticator app, or from:  .venv/bin/opsloom otp EMAIL")
    else:
        lines.append("The demo accounts and their passwords:  .venv/bin/opsloom otp --list")
    lines.append("Stop everything:  make down")
    return "\n".join(lines)


def down(json: Json = False) -> None:
    """Stop everything. The data is kept."""
    from app.embedded.progress import Progress
    from app.embedded.stack import down as stop

    stopped = stop(settings(), Progress(quiet=json))
    emit({"stopped": stopped}, as_json=json, human=lambda told: "Stopped." if told["stopped"] else "Nothing ran.")


def status(json: Json = False) -> None:
    """Say what runs. Exit status 1 unless everything is ready."""
    from app.embedded.status import status as report
    from app.embedded.status import table

    found = report(settings())
    emit(found, as_json=json, human=table)
    if not found["ready"]:
        raise typer.Exit(FAILED)


def otp(
    email: Annotated[str, typer.Argument(help="The demo account's e-mail address.")] = "",
    list_all: Annotated[bool, typer.Option("--list", help="Every demo account with its password.")] = False,
    json: Json = False,
) -> None:
    """The current six-digit code of a demo account, for those without an authenticator app at hand."""
    from app.embedded.otp import code_of, sign_ins

    if list_all == bool(email):
        raise typer.BadParameter("Give either an e-mail address or --list.")
    here = local_settings()
    if list_all:
        emit(sign_ins(here), as_json=json, human=_list)
    else:
        emit(code_of(here, email), as_json=json, human=lambda told: str(told["code"]))


def _list(accounts: list[dict[str, Any]]) -> str:
    return "\n".join(f"{each['email']:<34} {each['password']:<24} {each.get('role', '')}" for each in accounts)
