"""Approvals: what waits for whom, and the answer."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from app.api.bodies import Decision
from app.api.who import InClient
from app.services import approvals
from app.services.run_views import ApprovalView

router = APIRouter(prefix="/clients/{client}/approvals", tags=["approvals"])


@router.get("")
async def list_approvals(
    ctx: InClient,
    state: Annotated[Literal["open", "approved", "denied", "expired", "void", "all"], Query()] = "open",
) -> list[ApprovalView]:
    """The client's approvals, each with whether the actor may answer it."""
    return await approvals.list_approvals(ctx, state=None if state == "all" else state)


@router.get("/{approval_id}")
async def get(ctx: InClient, approval_id: UUID) -> ApprovalView:
    """One approval."""
    return await approvals.get(ctx, approval_id)


@router.post("/{approval_id}/decision")
async def decide(ctx: InClient, approval_id: UUID, body: Decision) -> ApprovalView:
    """Approve or deny what was seen under ``seal``; 409 where it has moved. Approving needs a fresh code."""
    return await approvals.decide(
        ctx, approval_id, decision=body.decision, seal=body.seal, reason=body.reason, otp=body.otp
    )
