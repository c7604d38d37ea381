"""The tables as SQLModel classes. The migrations decide; a test compares the two."""

from app.data.models.approvals import Approval, ApprovalDecision, Reveal
from app.data.models.audit import AuditCheckpoint, AuditEvent, AuditHead
from app.data.models.clients import Client, ClientLimits, Membership
from app.data.models.connections import Connection
from app.data.models.forms import Form
from app.data.models.people import Account, AccountSession, ApiToken
from app.data.models.runs import ArchivedChange, Run, RunPlan, RunQueue, RunWord, StepEvent, WaveTarget
from app.data.models.triggers import Happening, Trigger, TriggerFiring
from app.data.models.workflows import Workflow, WorkflowVersion

__all__ = [
    "Account",
    "AccountSession",
    "ApiToken",
    "Approval",
    "ApprovalDecision",
    "ArchivedChange",
    "AuditCheckpoint",
    "AuditEvent",
    "AuditHead",
    "Client",
    "ClientLimits",
    "Connection",
    "Form",
    "Happening",
    "Membership",
    "Reveal",
    "Run",
    "RunPlan",
    "RunQueue",
    "RunWord",
    "StepEvent",
    "Trigger",
    "TriggerFiring",
    "WaveTarget",
    "Workflow",
    "WorkflowVersion",
]
