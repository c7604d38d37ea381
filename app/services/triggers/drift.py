"""Watches: a plan, made again and again. Drift (it is not empty any more) is told once when it comes and once when it
goes; that what it reads has changed is told each time."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.ids import new_id
from app.data.models.runs import Run
from app.data.models.triggers import Happening, Trigger
from app.data.repositories import audit
from app.services.triggers.firing import locked
from app.services.triggers.seen import is_change, mark_of
from app.services.triggers.starter import Stopped, client_of, scheduler_context

Json = dict[str, Any]
_COUNTED = ("add", "change", "remove", "unknown")


async def judge(session: AsyncSession, run: Run) -> None:
    """Note on its watch what a check has found. A check that ends after a later one is passed over."""
    found = await locked(session, run.client_id, Trigger.id == UUID(run.extra["trigger"]["id"]))
    if not found or not found[0].watch or run.mode != "plan" or run.state == "cancelled":
        return
    trigger, before = found[0], found[0].drift or {"state": "unknown"}
    if "run" in before and UUID(before["run"]) > run.id:
        return
    at = (run.finished_at or run.created_at).isoformat()
    if run.state == "failed":
        trigger.drift = {**before, "checked_at": at, "error": dict(run.reason or {})}
        session.add(trigger)
        return
    counts = {name: run.summary.get(name, 0) for name in _COUNTED}
    state, seen = "drift" if any(counts.values()) else "clear", await mark_of(session, run)
    same = before["state"] == state
    trigger.drift = {
        "state": state,
        "since": before.get("since") if same else at,
        "run": str(run.id),
        "counts": counts,
        "checked_at": at,
        "error": None,
        "seen": seen,
    }
    session.add(trigger)
    if is_change(before.get("seen"), seen):
        await _tell(session, trigger, run, "change_seen", {"since": before["run"]})
    if not same and not (state == "clear" and before["state"] == "unknown"):
        kind = "drift_found" if state == "drift" else "drift_cleared"
        await _tell(session, trigger, run, kind, counts, {"counts": counts})


async def _tell(
    session: AsyncSession, trigger: Trigger, run: Run, kind: str, told: Json, kept: Json | None = None
) -> None:
    """``told`` goes into the audit trail, ``kept`` (or else the same) to whoever listens."""
    details = {"name": trigger.name, "run": str(run.id), **told}
    try:
        client = await client_of(session, trigger)
    except Stopped:
        return
    await audit.record(session, scheduler_context(client), action=kind, target=f"trigger:{trigger.id}", details=details)
    if await _somebody_listens(session, trigger, kind):
        session.add(
            Happening(
                client_id=trigger.client_id,
                id=new_id(),
                kind=kind,
                subject=trigger.id,
                details={"run": str(run.id), **(told if kept is None else kept)},
                depth=run.extra["trigger"].get("depth", 0),
            )
        )


async def _somebody_listens(session: AsyncSession, trigger: Trigger, kind: str) -> bool:
    query = select(Trigger.id).where(
        Trigger.client_id == trigger.client_id, col(Trigger.enabled).is_(True), Trigger.listens == kind
    )
    return (await session.exec(query)).first() is not None
