"""The health of the system, for those who look after it."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.who import SignedInActor
from app.services import health
from app.services.health import SystemView

router = APIRouter(tags=["operations"])


@router.get("/health")
async def get_health(actor: SignedInActor) -> SystemView:
    """Each part, who works at what, and the queue of each client; for staff of the MSP who may see it (health.read).

    Runs and clients that the caller is no member of are counted and not named.
    """
    return await health.status(actor)
