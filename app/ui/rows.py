"""What services give, as rows of lists: with the address that each leads to."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.core.context import Context
from app.core.errors import Missing
from app.services.run_views import RunRow

Json = dict[str, Any]

# What the browser may offer; every handler checks again.
_MAY = {
    "start": "run.start",
    "plan": "run.plan",
    "cancel": "run.cancel",
    "undo": "run.undo",
    "reveal": "secret.reveal",
    "draw": "workflow.write",
    "publish": "workflow.publish",
    "connect": "connection.write",
    "hurry": "run.hurry",
}


def may(context: Context) -> dict[str, bool]:
    """What the actor may do here, by the names that pages use."""
    return {name: permission in context.permissions for name, permission in _MAY.items()}


def run_path(context: Context, kind: str, run_id: UUID | str) -> str:
    """The page of a run, a batch or a wave."""
    return run_path_in(context.client_slug, kind, run_id)


def run_path_in(client: str, kind: str, run_id: UUID | str) -> str:
    """The same for a client by its short name."""
    place = {"batch": "batches", "wave": "waves"}.get(kind, "runs")
    return f"/c/{client}/{place}/{run_id}"


def run_row(context: Context, run: RunRow) -> Json:
    """A run of the context's client as lists show it."""
    return run_row_in(context.client_slug, run)


def run_row_in(client: str, run: RunRow) -> Json:
    """A run as lists show it. What it is: ``plan`` for plans, ``undo`` also for that of a batch, otherwise its kind."""
    shown = run.model_dump(mode="json")
    return shown | {
        "href": run_path_in(client, run.kind, run.id),
        "what": "plan" if run.mode == "plan" else "undo" if run.of else run.kind,
        "title": run.label or run.workflow_name,
        "said": None if run.state == "succeeded" else run.reason,
    }


def identifier(words: str, what: str) -> UUID:
    """The id in an address. Raises Missing where it is none."""
    try:
        return UUID(words)
    except ValueError:
        raise Missing(what) from None
