"""migrate: the database's tables, wherever it is."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.common import Json, database_url, emit


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command()(migrate)


def migrate(
    revision: Annotated[str, typer.Argument(help="Where to go: a revision, or `head`.")] = "head",
    down: Annotated[
        bool, typer.Option("--down", help="Go back to it instead. Rows of dropped tables are lost.")
    ] = False,
    json: Json = False,
) -> None:
    """Bring the database's tables to a revision, signed in as opsloom_migrate."""
    from app.data import migrate as migrations

    dsn = database_url("migrate")
    before = migrations.current(dsn)
    after = migrations.downgrade(dsn, revision) if down else migrations.upgrade(dsn, revision)
    emit(
        {"before": before, "after": after},
        as_json=json,
        human=lambda told: f"{told['before'] or 'empty'} -> {told['after'] or 'empty'}",
    )
