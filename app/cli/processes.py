"""worker, scheduler: the product's processes, as the embedded stack or systemd starts them."""

from __future__ import annotations

from importlib import import_module

import typer

from app.cli.common import database_url, settings


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.command()(worker)
    root.command()(scheduler)


def worker() -> None:
    """Run workflows until SIGTERM."""
    _run("worker", "run_worker")


def scheduler() -> None:
    """Wake what is due until SIGTERM. Several may run; one leads."""
    _run("scheduler", "run_scheduler")


def _run(part: str, verb: str) -> None:
    from app.core.logging import configure_logging

    database_url("scheduler" if part == "scheduler" else "worker")
    configure_logging(settings().log_level, part=part)
    getattr(import_module("app.worker"), verb)()
