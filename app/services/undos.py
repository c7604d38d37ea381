"""Starting the reverse of a run, or of every row of a batch."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Missing, Stale
from app.core.ids import new_id
from app.core.run_states import OVER
from app.data.models.runs import Run
from app.data.repositories.runs import NewRun, add_rows_of
from app.data.session import tenant_session
from app.engine.core.undo import effects, not_undoable
from app.services.run_loading import past_of
from app.services.run_pasts import require_unarchived
from app.services.start_keys import Mode
from app.services.start_storing import queue
from app.services.starts import check_mode

Json = dict[str, Any]


async def undo(ctx: Context, run_id: UUID, *, mode: Mode = "apply") -> UUID:
    """Queue the reverse of a run, or of every row of a batch, and give its id.

    Raises Stale where the run is still going, changed nothing, or is being undone already, or where a row of the batch
    is.
    """
    ctx.require("run.undo")
    check_mode(mode)
    async with tenant_session(ctx) as session:
        # Until the commit it is not archived, and whoever else asks for its undo waits, and finds ours then.
        first = await session.get(Run, (ctx.client_id, run_id), with_for_update={"key_share": True})
        if first is None:
            raise Missing("run")
        _require_undoable(first)
        await _require_effects(session, ctx, first)
        rows = await _rows_let_go(session, ctx, first) if first.kind == "batch" else []
        if mode == "apply" and (running := await _undo_of(session, ctx, run_id)):
            raise Stale("This run is being undone already.", code="undo_running", params={"run": str(running)})
        reverse = _reverse(ctx, first, mode)
        await queue(session, ctx, reverse)
        if rows:
            await add_rows_of(session, ctx.client_id, reverse.id, rows, reverse=True)
    return reverse.id


def _require_undoable(run: Run) -> None:
    if run.state not in OVER:
        raise Stale("This run is still going. Cancel it first.", code="run_going")
    require_unarchived(run)
    if run.mode != "apply" or run.kind in ("undo", "wave"):
        raise _nothing()


async def _require_effects(session: AsyncSession, ctx: Context, run: Run) -> None:
    """Raise Stale for a run that changed nothing; what nobody knows of a step may have been a change."""
    if run.kind == "batch":
        rows = select(Run.summary).where(Run.client_id == ctx.client_id, Run.parent == run.id)
        changed = any(map(_counts_change, (await session.exec(rows)).all()))
    else:
        state = (await past_of(session, ctx, run)).state()
        changed = state is not None and bool(effects(state) or not_undoable(state))
    if not changed:
        raise _nothing()


def _counts_change(summary: dict[str, int]) -> bool:
    return any(summary.get(name) for name in ("add", "change", "remove", "unknown"))


def _nothing() -> Stale:
    return Stale("Only a run that changed something can be undone.", code="nothing_to_undo")


async def _undo_of(session: AsyncSession, ctx: Context, run_id: UUID) -> UUID | None:
    """The undo of a run, or of a row of a batch, that is under way."""
    rows = select(Run.id).where(Run.client_id == ctx.client_id, Run.parent == run_id)
    # One after the other: asked together, neither could use its index.
    for which in (col(Run.of) == run_id, col(Run.of).in_(rows)):
        query = select(Run.id).where(Run.client_id == ctx.client_id, which, Run.mode == "apply")
        if found := (await session.exec(query.where(col(Run.state).not_in(OVER)))).first():
            return found
    return None


def _reverse(ctx: Context, first: Run, mode: Mode) -> NewRun:
    return NewRun(
        client_id=ctx.client_id,
        id=new_id(),
        kind="batch" if first.kind == "batch" else "undo",
        of=first.id,
        row_number=first.row_number,
        workflow_id=first.workflow_id,
        version=first.version,
        document_hash=first.document_hash,
        mode=mode,
        inputs=first.inputs,
        label=first.label,
        priority=first.priority,
        extra=_of_same_key(first.extra),
    )


def _of_same_key(extra: Json) -> Json:
    """What takes a run back stands in the way of the same runs as the run did, and always waits for its turn."""
    found = {name: extra[name] for name in ("document", "concurrency") if name in extra}
    return {**found, "concurrency": {**found["concurrency"], "policy": "queue"}} if "concurrency" in found else found


async def _rows_let_go(session: AsyncSession, ctx: Context, first: Run) -> list[Json]:
    """One undo for each row of a batch that was let go. Until the commit nobody else starts the undo of one."""
    query = (
        select(Run.id, Run.extra)
        .where(Run.client_id == ctx.client_id, Run.parent == first.id, text("(runs.extra ? 'batch_seal')"))
        .order_by(col(Run.row_number))
        .with_for_update(key_share=True)
    )
    found = (await session.exec(query)).all()
    return [{"id": new_id(), "source": row_id, "extra": _of_same_key(extra)} for row_id, extra in found]
