"""Answering an approval from a page: the fresh code first, then the decision."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from app.core.context import Context
from app.services import approvals, auth
from app.services.run_views import ApprovalView
from app.ui.rows import identifier


class Answer(BaseModel):
    """What the form sends."""

    model_config = ConfigDict(frozen=True)

    approval: str
    decision: str
    seal: str | None = None
    reason: str = ""
    otp: str = ""


async def decide(context: Context, sent: dict[str, Any]) -> ApprovalView:
    """Record the answer. Approving needs a fresh code. Raises what :func:`app.services.approvals.decide` raises."""
    answer = Answer.model_validate(sent)
    approval_id = identifier(answer.approval, "approval")
    seen = await approvals.get(context, approval_id)
    proves = seen.may_decide and bool(answer.otp or answer.decision == "approve")
    if proves:
        await auth.require_step_up(context.actor, answer.otp)
    return await approvals.decide(
        context, approval_id, decision=answer.decision, seal=answer.seal, reason=answer.reason, mfa=proves
    )
