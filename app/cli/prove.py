"""prove isolation: show on the running system that clients are apart."""

from __future__ import annotations

import asyncio
from typing import Any

import typer

from app.cli.common import FAILED, Json, database_url, emit, settings

app = typer.Typer()


@app.callback()
def prove() -> None:
    """Proofs on the running system. They change nothing."""


@app.command()
def isolation(json: Json = False) -> None:
    """Check each table's rules, and try to cross between two made-up clients as each process signs in."""
    from app.data.isolation import prove as prove_isolation
    from app.data.roles import SCHEDULER, WEB, WORKER

    dsns = {WEB: database_url("web"), WORKER: database_url("worker")}
    if settings().database_url_scheduler:
        dsns[SCHEDULER] = database_url("scheduler")
    report = asyncio.run(prove_isolation(dsns))
    emit(report.as_json(), as_json=json, human=_told)
    if not report.ok:
        raise typer.Exit(FAILED)


def _told(report: dict[str, Any]) -> str:
    lines = [f"{report['checks']} checks, {report['leaks']} leaks, {len(report['failures'])} failures"]
    return "\n".join([*lines, *(f"  {failure}" for failure in report["failures"])])
