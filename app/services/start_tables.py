"""Starting a table of runs: one batch, whose rows are all checked before anything is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Invalid
from app.core.ids import new_id
from app.data.repositories.runs import NewRun, add_rows
from app.data.session import tenant_session
from app.engine.core.document import Document
from app.services.inputs import CheckedRow, check_rows
from app.services.run_rules import priority_of, slots_among
from app.services.start_documents import choose
from app.services.start_keys import Asked, Mode, by_key, once
from app.services.start_storing import queue
from app.services.starts import allowed, label_of

Json = dict[str, Any]
P = ParamSpec("P")
T = TypeVar("T")
_FEW = 100


async def start_batch(
    ctx: Context,
    *,
    workflow: UUID | str,
    rows: Sequence[Mapping[str, Any]],
    mode: Mode = "plan",
    skip_invalid: bool = False,
    version: int | None = None,
    idempotency_key: str | None = None,
    priority: str = "normal",
) -> UUID:
    """Queue one batch for the rows of a table and give its id.

    Raises Invalid with every wrong row and its reason, unless ``skip_invalid``: wrong rows are then held back, with
    their reasons kept. Nothing starts where no row is right.
    """
    details = {"rows": rows, "version": version, "skip_invalid": skip_invalid, "priority": priority}
    asked = Asked(workflow, mode, {}, idempotency_key, kind="batch", details=details)
    allowed(ctx, mode)
    urgency = priority_of(ctx, priority)

    async def work(session: AsyncSession) -> UUID:
        return await _start_batch(
            session, ctx, asked, rows, skip_invalid=skip_invalid, version=version, priority=urgency
        )

    return await once(ctx, asked, work)


async def check_table(
    ctx: Context, *, workflow: UUID | str, rows: Sequence[Mapping[str, Any]], version: int | None = None
) -> list[CheckedRow]:
    """What is wrong with each row, before anything is started."""
    ctx.require("run.plan")
    async with tenant_session(ctx) as session:
        chosen = await choose(session, ctx, workflow, version)
    return await _aside(len(rows), check_rows, chosen.document.inputs, rows)


async def _aside(rows: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``work`` gives, done in a thread where there are many rows: checking ten thousand takes a second, in which
    everybody else would wait."""
    if rows <= _FEW:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


async def _start_batch(
    session: AsyncSession,
    ctx: Context,
    asked: Asked,
    rows: Sequence[Mapping[str, Any]],
    *,
    skip_invalid: bool,
    version: int | None,
    priority: int,
) -> UUID:
    if earlier := await by_key(session, ctx, asked):
        return earlier
    chosen = await choose(session, ctx, asked.workflow, version)
    document = chosen.document
    found = await _aside(len(rows), check_rows, document.inputs, rows)
    _require_some(found, skip_invalid=skip_invalid)
    head = NewRun(
        client_id=ctx.client_id,
        id=new_id(),
        kind="batch",
        workflow_id=chosen.workflow_id,
        version=chosen.version,
        document_hash=chosen.hash,
        mode=asked.mode,
        idempotency_key=asked.key,
        label=f"{sum(not row.problems for row in found)} × {chosen.workflow_name}",
        extra={"held_back": [_held_back(row) for row in found if row.problems], **asked.kept},
        priority=priority,
    )
    await queue(session, ctx, head)
    good = [row for row in found if not row.problems]
    await add_rows(session, ctx.client_id, head.id, await _aside(len(good), _as_rows, chosen.variables, document, good))
    return head.id


def _require_some(rows: Sequence[CheckedRow], *, skip_invalid: bool) -> None:
    problems = [problem for row in rows for problem in row.problems]
    wrong = sum(bool(row.problems) for row in rows)
    if problems and not skip_invalid:
        raise Invalid(
            f"Of {len(rows)} rows, {wrong} cannot be used as they are.", code="rows_invalid", problems=problems
        )
    if wrong == len(rows):
        raise Invalid("No row is right.", code="rows_invalid", problems=problems)


def _held_back(row: CheckedRow) -> Json:
    return {"row": row.number, "inputs": row.inputs, "problems": [problem.as_json() for problem in row.problems]}


def _as_rows(variables: Json, document: Document, rows: Sequence[CheckedRow]) -> list[Json]:
    rules = slots_among(variables, document, [(row.number, row.inputs) for row in rows])
    return [
        {
            "id": new_id(),
            "row_number": row.number,
            "inputs": row.inputs,
            "label": label_of(document.inputs, row.inputs),
            "extra": extra,
        }
        for row, extra in zip(rows, rules, strict=True)
    ]
