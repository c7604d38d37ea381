"""What starts runs by itself: schedules, webhooks, events; and what the watches for drift see."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from app.api.bodies import Fire, NewTrigger, SchedulePreview, TriggerChange
from app.api.who import InClient
from app.services import triggers
from app.services.triggers import Change, FiringView, MadeTrigger, Preview, TriggerView

router = APIRouter(prefix="/clients/{client}", tags=["triggers"])
Outcome = Literal["started", "skipped", "refused"]


@router.get("/triggers")
async def list_triggers(
    ctx: InClient, kind: Literal["schedule", "webhook", "event"] | None = None, workflow: UUID | None = None
) -> list[TriggerView]:
    """The client's triggers by name."""
    return await triggers.list_triggers(ctx, kind=kind, workflow=workflow)


@router.get("/drift")
async def list_drift(ctx: InClient, state: Literal["drift"] | None = None) -> list[TriggerView]:
    """The client's watches with what their last checks found; with ``state`` those that see drift now."""
    return await triggers.list_triggers(ctx, watches=True, drift=state is not None)


@router.post("/triggers", status_code=201)
async def create_trigger(ctx: InClient, body: NewTrigger) -> MadeTrigger:
    """A new trigger. A webhook's secret is in the answer and never shown again."""
    return await triggers.create(ctx, **body.model_dump())


@router.post("/triggers/preview")
async def preview_schedule(ctx: InClient, body: SchedulePreview) -> Preview:
    """The coming times of a schedule, or what is wrong with it."""
    return await triggers.preview(ctx, **body.model_dump())


@router.get("/triggers/{trigger_id}")
async def get_trigger(ctx: InClient, trigger_id: UUID) -> TriggerView:
    """One trigger."""
    return await triggers.get(ctx, trigger_id)


@router.patch("/triggers/{trigger_id}")
async def update_trigger(ctx: InClient, trigger_id: UUID, body: TriggerChange) -> TriggerView:
    """Change what is given. Where it is on, it goes on in the name of whoever changed it."""
    return await triggers.update(ctx, trigger_id, Change(**body.model_dump()))


@router.delete("/triggers/{trigger_id}", status_code=204)
async def remove_trigger(ctx: InClient, trigger_id: UUID) -> None:
    """Take it away; its history stays."""
    await triggers.remove(ctx, trigger_id)


@router.post("/triggers/{trigger_id}/enable")
async def enable_trigger(ctx: InClient, trigger_id: UUID) -> TriggerView:
    """Switch it on: its runs start in the name of whoever does so."""
    return await triggers.switch(ctx, trigger_id, on=True)


@router.post("/triggers/{trigger_id}/disable")
async def disable_trigger(ctx: InClient, trigger_id: UUID) -> TriggerView:
    """Switch it off. What would have started meanwhile is not made up for."""
    return await triggers.switch(ctx, trigger_id, on=False)


@router.post("/triggers/{trigger_id}/fire", status_code=201)
async def fire_trigger(ctx: InClient, trigger_id: UUID, body: Fire | None = None) -> FiringView:
    """Fire a schedule by hand, on one's own behalf."""
    return await triggers.fire_now(ctx, trigger_id, idempotency_key=(body or Fire()).idempotency_key)


@router.post("/triggers/{trigger_id}/secret", status_code=201)
async def renew_trigger_secret(ctx: InClient, trigger_id: UUID) -> MadeTrigger:
    """A new address and secret for a webhook; the old ones end."""
    return await triggers.renew_secret(ctx, trigger_id)


@router.get("/triggers/{trigger_id}/firings")
async def list_firings(
    ctx: InClient,
    trigger_id: UUID,
    outcome: Outcome | None = None,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[FiringView]:
    """Every firing with what came of it, newest first. ``before`` is the last id of the page before."""
    return await triggers.firings(ctx, trigger_id, outcome=outcome, before=before, limit=limit)
