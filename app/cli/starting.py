"""Starting runs from the command line, and waiting for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from app.core.context import Context
from app.core.errors import Invalid, Problem
from app.core.run_states import OVER
from app.services import runs, workflows
from app.services.inputs import coerce, read_table
from app.services.run_views import RunView

_REST = ("succeeded", "failed", "cancelled", "waiting", "paused")


@dataclass(frozen=True)
class Start:
    """What the command line asked for."""

    workflow: str
    inputs: list[str]
    table: Path | None
    skip_invalid: bool
    mode: Literal["plan", "apply"]
    plan: UUID | None
    version: int | None
    key: str
    priority: str = ""


async def begin_and_wait(ctx: Context, asked: Start, seconds: float) -> RunView:
    """Start it; the run when it has ended or waits for a person, or as it is after ``seconds``."""
    _require_one_thing(asked)
    run_id = await (_batch(ctx, asked) if asked.table else _one(ctx, asked))
    return await settled(ctx, run_id, seconds)


def _require_one_thing(asked: Start) -> None:
    """Raise Invalid for what a table cannot have: whoever names it counts on it."""
    wrong = {
        "--input": asked.table and asked.inputs and "Each row of a table is the inputs of its run: leave --input out.",
        "--plan": asked.table and asked.plan and "The plan of a table has its rows: leave --inputs-csv out.",
    }
    problems = [Problem("not_with_rows", said, field=name) for name, said in wrong.items() if isinstance(said, str)]
    if problems:
        raise Invalid(problems[0].message, problems=problems)


async def inputs_from(ctx: Context, workflow: str, version: int | None, texts: list[str]) -> dict[str, Any]:
    """``name=value`` texts as the workflow's inputs, by the types that it asks for."""
    schema = await _schema(ctx, workflow, version) if texts else {}
    return coerce(schema, _pairs(texts))


async def _one(ctx: Context, asked: Start) -> UUID:
    details: dict[str, Any] = {
        "workflow": asked.workflow,
        "inputs": await inputs_from(ctx, asked.workflow, asked.version, asked.inputs),
        "mode": asked.mode,
        "version": asked.version,
        "idempotency_key": asked.key or None,
        "priority": asked.priority or None,
    }
    if asked.plan:
        return await runs.start_planned(ctx, plan=asked.plan, **details)
    return await runs.start(ctx, **details)


async def _batch(ctx: Context, asked: Start) -> UUID:
    assert asked.table is not None
    try:
        data = asked.table.read_bytes()
    except OSError as error:
        message = f"{asked.table} cannot be read: {error.strerror}."
        raise Invalid(message, problems=[Problem("unreadable", message, field="--inputs-csv")]) from None
    return await runs.start_batch(
        ctx,
        workflow=asked.workflow,
        rows=read_table(data),
        mode=asked.mode,
        skip_invalid=asked.skip_invalid,
        version=asked.version,
        idempotency_key=asked.key or None,
        priority=asked.priority or "normal",
    )


async def _schema(ctx: Context, workflow: str, version: int | None) -> dict[str, Any]:
    flow = await workflows.get(ctx, workflow)
    number = version or flow.published_version
    document = (await workflows.version(ctx, flow.id, number)).document if number else flow.draft
    return dict((document or {}).get("inputs", {}))


def _pairs(given: list[str]) -> dict[str, str]:
    wrong = [text for text in given if "=" not in text]
    if wrong:
        message = f"An input is name=value, not {wrong[0]!r}."
        raise Invalid(message, problems=[Problem("not_a_pair", message, field="--input")])
    return dict(text.split("=", 1) for text in given)


async def settled(ctx: Context, run_id: UUID, seconds: float) -> RunView:
    """The run once it has ended or waits for a person; a batch with its rows."""
    view = await _settled(ctx, run_id, seconds)
    return await runs.get(ctx, run_id) if view.kind == "batch" else view


async def _settled(ctx: Context, run_id: UUID, seconds: float) -> RunView:
    view = await runs.get(ctx, run_id, rows=False)
    try:
        async with asyncio.timeout(seconds or 0.001):
            async for view in runs.events(ctx, run_id):
                if view.state in _REST and not _goes_on_by_itself(view):
                    return view
    except TimeoutError:
        pass
    return view


def _goes_on_by_itself(view: RunView) -> bool:
    """Whether it waits for something else than a person: a time, a retry, or a worker that hears of an answer, or that
    it is to stop."""
    if view.state in OVER:
        return False
    if view.cancel_requested_at or (view.pause_requested_at and view.state != "paused"):
        return True
    if view.state != "waiting" or (view.reason or {}).get("code") == "unknown":
        return False
    return not any(approval.state == "open" for approval in view.approvals)
