"""The audit trail of a client."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from app.api.who import InClient
from app.core.clock import utcnow
from app.services import audit
from app.services.audit import AuditPage

router = APIRouter(prefix="/clients/{client}/audit", tags=["audit"])


@router.get("")
async def list_events(
    ctx: InClient,
    action: str | None = None,
    actor: str | None = None,
    target: str | None = None,
    outcome: Literal["success", "failure", "denied"] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=audit.LARGEST_PAGE)] = 50,
) -> AuditPage:
    """Events, newest first. ``cursor`` is ``next`` of the page before."""
    return await audit.list_events(
        ctx,
        action=action,
        actor=actor,
        target=target,
        outcome=outcome,
        since=since,
        until=until,
        cursor=cursor,
        limit=limit,
    )


@router.get("/export", response_class=StreamingResponse)
async def export(ctx: InClient) -> StreamingResponse:
    """The whole trail with signed checkpoints, one JSON object a line; `opsloom audit verify` checks it offline."""
    lines = audit.export(ctx)
    first = await anext(lines)  # an error comes before the answer has begun

    async def body():
        yield first
        async for line in lines:
            yield line

    name = f"audit-{ctx.client_slug}-{utcnow():%Y%m%dT%H%M%SZ}.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(body(), media_type="application/jsonl", headers=headers)
