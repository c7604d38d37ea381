"""All runs of a client: what was done to one thing, and what happens now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from app.api.streams import stream
from app.api.who import InClient
from app.services import runs, targets
from app.services.targets import Touch

router = APIRouter(prefix="/clients/{client}", tags=["runs"])


@router.get("/history")
async def history(
    ctx: InClient,
    target: Annotated[str, Query(description="platform.resource:key, or the key alone", max_length=1000)] = "",
    before: Annotated[str | None, Query(description="cursor of the last change of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=targets.LARGEST_PAGE)] = 50,
) -> list[Touch]:
    """Every change of a target, newest first; without one those of anything, the latest run's first."""
    return await targets.history(ctx, target=target, before=before, limit=limit)


@router.get("/events", response_class=StreamingResponse)
async def events(request: Request, ctx: InClient) -> StreamingResponse:
    """Which runs have come further, as server-sent events named ``runs``; ``end`` comes last.

    Each is ``{"look", "runs": [{"id", "seq", "state"}]}``. ``look``: something may have been missed, so read the list.
    """
    ctx.require("run.read")
    return stream(request, ctx, "runs", runs.client_events(ctx), lambda news: news)
