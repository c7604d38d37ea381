"""What decides when a run has its turn: its priority, and the concurrency key of its workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Invalid, Problem
from app.data.models.clients import Client
from app.engine.core.concurrency import slot_of
from app.engine.core.document import Document
from app.services.run_views import PRIORITIES, PRIORITY_NAMES

Json = dict[str, Any]


def priority_of(ctx: Context, name: str) -> int:
    """The number of a priority. Raises Invalid for a name that there is not, Forbidden for ``high`` without the right
    to put runs before others."""
    if name not in PRIORITIES:
        message = f"The priority is {', '.join(PRIORITIES)}."
        raise Invalid(message, problems=[Problem("not_one_of", message, field="priority")])
    if PRIORITIES[name] > 0:
        ctx.require("run.hurry")
    return PRIORITIES[name]


def priority_name(number: int) -> str:
    """The name of a run's priority."""
    return PRIORITY_NAMES.get(number, "normal")


async def slots_of(
    session: AsyncSession, ctx: Context, document: Document, runs: Sequence[tuple[int | None, Mapping[str, Any]]]
) -> list[Json]:
    """As :func:`slots_among`, with the variables that the client has now."""
    client = await session.get(Client, ctx.client_id) if document.concurrency else None
    return slots_among(client.variables if client else {}, document, runs)


def slots_among(
    variables: Mapping[str, Any], document: Document, runs: Sequence[tuple[int | None, Mapping[str, Any]]]
) -> list[Json]:
    """For each run (its row in a table, and its inputs) what it keeps of its concurrency key; nothing where the
    workflow has none. Raises Invalid, naming the row of a table."""
    if document.concurrency is None:
        return [{}] * len(runs)
    return [{"concurrency": _slot(document, row, inputs, dict(variables))} for row, inputs in runs]


def _slot(document: Document, row: int | None, inputs: Mapping[str, Any], variables: dict[str, Any]) -> Any:
    try:
        return slot_of(document, dict(inputs), variables)
    except Invalid as error:
        raise _of_row(error, row) from None


def _of_row(error: Invalid, row: int | None) -> Invalid:
    problems = [Problem(p.code, p.message, field=p.field, row=row, params=p.params) for p in error.problems]
    return Invalid(error.message, code=error.code, problems=problems)
