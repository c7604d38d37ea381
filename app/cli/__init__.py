"""The `opsloom` command. Thin: every verb lives in a service or in the embedded stack, and is imported when it is used.

Exit status: 0 done, 1 failed, 2 bad usage, 3 waiting for a person. With ``--json`` there is JSON on stdout and nothing
else, errors included (as problem+json); what a person reads goes to stderr.

A new group of commands is a module with ``app = typer.Typer()`` and one line in ``GROUPS``.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.util import find_spec

import typer

from app.cli import database, processes, stack
from app.core.errors import OpsloomError
from app.core.logging import configure_logging

FAILED = 1

GROUPS = {
    "token": ("app.cli.token", "API tokens."),
    "workflow": ("app.cli.workflow", "Import, list and run workflows."),
    "trigger": ("app.cli.trigger", "Schedules, webhooks, events and watches that start runs."),
    "run": ("app.cli.run", "Look at runs, approve, cancel and undo them."),
    "wave": ("app.cli.wave", "Run one workflow over many clients, stage by stage."),
    "audit": ("app.cli.audit", "Export the audit trail, and check an export."),
    "prove": ("app.cli.prove", "Show on the running system that clients are apart."),
    "sandbox": ("app.cli.sandbox", "The platform simulators of the demonstration."),
}


def build(chosen: str | None) -> typer.Typer:
    """The command with its groups; only the ``chosen`` group's module is loaded, so that the others cost nothing."""
    root = typer.Typer(
        help="Draw a workflow, see what it would change, have it approved, run it, undo it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for module in (stack, database, processes):
        module.register(root)
    for name, (path, text) in GROUPS.items():
        if find_spec(path) is not None:
            group = import_module(path).app if name == chosen else _placeholder()
            root.add_typer(group, name=name, help=text, no_args_is_help=True)
    return root


def _placeholder() -> typer.Typer:
    """Stands for a group in the list of commands."""
    empty = typer.Typer()
    empty.callback()(lambda: None)
    return empty


def main() -> None:
    """Entry point of the `opsloom` command."""
    configure_logging("WARNING", part="cli")  # to stderr: stdout is for results
    arguments = sys.argv[1:]
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    try:
        build(chosen)()
    except OpsloomError as error:
        _tell(error, as_json="--json" in arguments)
        sys.exit(FAILED)


def _tell(error: OpsloomError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(error.as_problem(), ensure_ascii=False))
        return
    print(f"opsloom: {error.message}", file=sys.stderr)
    for problem in error.problems:
        row = f"row {problem.row}" if problem.row else None
        places = [place for place in (row, problem.node, problem.edge, problem.field) if place]
        print("  " + ": ".join([*places, problem.message]), file=sys.stderr)
