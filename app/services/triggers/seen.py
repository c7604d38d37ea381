"""What a watch's steps read on their platforms: told as an event where it is not what they read at the check before."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from app.data.models.runs import Run, RunPlan
from app.engine.core.document import canonical
from app.engine.core.planned import Plan
from connectors import registry
from connectors.base import ReadAction

Json = dict[str, Any]


async def reads_of(session: AsyncSession, client_id: UUID, run_id: UUID) -> dict[str, Json]:
    """What each step of a plan has read, without what differs from look to look. Empty where the plan is gone."""
    row = await session.get(RunPlan, (client_id, run_id))
    if row is None:
        return {}
    found = {}
    for step in Plan.model_validate(row.plan).steps:
        action = registry.actions().get(step.type)
        if isinstance(action, ReadAction) and step.output is not None:
            found[step.node] = {name: value for name, value in step.output.items() if name not in action.volatile}
    return found


async def mark_of(session: AsyncSession, run: Run) -> Json:
    """What is kept of a check to compare the next one with: what was asked, and what was found."""
    found = await reads_of(session, run.client_id, run.id)
    return {"asked": _digest([run.document_hash, run.inputs]), "found": _digest(found)}


def is_change(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> bool:
    """Whether something else was found than by the check before. Where other things were asked, nobody can tell."""
    return before is not None and before["asked"] == now["asked"] and before["found"] != now["found"]


async def changes_between(session: AsyncSession, client_id: UUID, former: UUID, run: UUID) -> list[Json]:
    """What each step read before and now, where that differs; ``before`` is None where it is not known any more."""
    was, now = await reads_of(session, client_id, former), await reads_of(session, client_id, run)
    return [
        {"step": step, "before": was.get(step), "after": now.get(step)}
        for step in {**was, **now}
        if was.get(step) != now.get(step)
    ]


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()
