"""Taking back what a wave did: an undo of each client's run, in that client, with its own plan, seal and approvals."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from app.core.context import Context
from app.core.errors import Forbidden, Missing, Stale
from app.core.run_states import OVER
from app.data.repositories import audit
from app.data.session import tenant_session
from app.services import clients, undos, waves
from app.services.start_keys import Mode
from app.services.starts import check_mode
from app.services.waves import TargetView

Json = dict[str, Any]


class UndoneTarget(BaseModel):
    """One client of a wave that is taken back: the undo that was started there, or why there is none."""

    model_config = ConfigDict(frozen=True)

    client: str
    name: str
    run: UUID | None
    undo: UUID | None = None
    reason: Json | None = None


async def undo(ctx: Context, wave_id: UUID, *, mode: Mode = "apply") -> list[UndoneTarget]:
    """Start the undo of every run of a wave, or plan it; each client with its undo, or the reason why there is none.

    Asked again (somebody was cut off half way), it starts what is missing: what is being undone is not undone twice,
    and what is undone has nothing left. Raises Missing, Stale where the wave still goes on or only planned.
    """
    ctx.require("wave.start")
    check_mode(mode)
    view = await waves.get(ctx, wave_id)
    if view.state not in OVER:
        raise Stale("This wave is still going. Cancel it first.", code="run_going")
    if view.mode != "apply":
        raise Stale("Only a wave that changed something can be undone.", code="nothing_to_undo")
    found = [await _undone(ctx, target, mode) for target in view.targets]
    async with tenant_session(ctx) as session:
        details = {"mode": mode, "clients": [one.client for one in found if one.undo]}
        await audit.record(session, ctx, action="wave_undo_asked", target=f"run:{wave_id}", details=details)
    return found


async def _undone(ctx: Context, target: TargetView, mode: Mode) -> UndoneTarget:
    known = UndoneTarget(client=target.client, name=target.name, run=target.run)
    if target.run is None:
        return known.model_copy(update={"reason": target.reason or {"code": "nothing_to_undo"}})
    try:
        inside = await clients.enter(ctx.actor, target.client)
        return known.model_copy(update={"undo": await undos.undo(inside, target.run, mode=mode)})
    except (Stale, Missing, Forbidden) as error:
        return known.model_copy(update={"reason": {"code": error.code, "message": error.message, **error.params}})
