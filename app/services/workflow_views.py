"""Workflows as lists, the builder and the API show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlmodel import col, select, true
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.data.models.runs import Run
from app.data.models.workflows import Workflow, WorkflowVersion
from app.engine.core.document import SCHEMA, content_hash, parse_document
from app.services.approvals import names_in

Json = dict[str, Any]
EMPTY_DOCUMENT: Json = {"schema": SCHEMA, "name": "", "nodes": [], "edges": []}


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class WorkflowRow(_View):
    """A workflow as the list shows it. ``changed`` says that the draft is not what was last saved as a version."""

    id: UUID
    name: str
    description: str
    revision: int
    latest_version: int | None
    published_version: int | None
    changed: bool
    steps: int
    edited_at: datetime
    edited_by: str
    last_run_state: str | None = None
    last_run_at: datetime | None = None


class WorkflowView(WorkflowRow):
    """A workflow with the draft that the builder shows."""

    draft: Json


class VersionView(_View):
    """One version. ``document`` is left out of lists."""

    workflow_id: UUID
    version: int
    hash: str
    note: str
    author: str
    created_at: datetime
    published_at: datetime | None
    published_by: str | None
    document: Json | None = None


class Imported(_View):
    """What an import made: the workflow and the version that is now published."""

    id: UUID
    version: int
    name: str


async def rows(session: AsyncSession, ctx: Context, found: Sequence[Workflow]) -> list[WorkflowRow]:
    """The workflows as the list shows them, in their order."""
    names = await names_in(session)
    hashes = await _latest_hashes(session, ctx)
    last = await _last_runs(session, ctx)
    return [
        WorkflowRow(**_row(flow, _name(names, flow.draft_by), hashes.get(flow.id), last.get(flow.id))) for flow in found
    ]


async def view(session: AsyncSession, ctx: Context, flow: Workflow) -> WorkflowView:
    editor = _name(await names_in(session), flow.draft_by)
    hashes = await _latest_hashes(session, ctx, flow.id)
    last = await _last_runs(session, ctx, flow.id)
    return WorkflowView(
        **_row(flow, editor, hashes.get(flow.id), last.get(flow.id)), draft=flow.draft or EMPTY_DOCUMENT
    )


def version_view(found: WorkflowVersion, names: Mapping[UUID, str], *, whole: bool = True) -> VersionView:
    return VersionView(
        workflow_id=found.workflow_id,
        version=found.version,
        hash=found.hash,
        note=found.note,
        author=_name(names, found.author_id),
        created_at=found.created_at,
        published_at=found.published_at,
        published_by=_name(names, found.published_by) or None,
        document=found.document if whole else None,
    )


async def _latest_hashes(session: AsyncSession, ctx: Context, workflow_id: UUID | None = None) -> dict[UUID, str]:
    query = (
        select(WorkflowVersion.workflow_id, WorkflowVersion.hash)
        .join(
            Workflow,
            (col(Workflow.client_id) == col(WorkflowVersion.client_id))
            & (col(Workflow.id) == col(WorkflowVersion.workflow_id))
            & (col(Workflow.latest_version) == col(WorkflowVersion.version)),
        )
        .where(WorkflowVersion.client_id == ctx.client_id)
    )
    if workflow_id:
        query = query.where(WorkflowVersion.workflow_id == workflow_id)
    return dict((await session.exec(query)).all())


async def _last_runs(
    session: AsyncSession, ctx: Context, workflow_id: UUID | None = None
) -> dict[UUID, tuple[str, datetime]]:
    """State and start of each workflow's last run. One look into the index a workflow, however long its history is."""
    last = (
        select(Run.state, Run.created_at)
        .where(Run.client_id == ctx.client_id, Run.workflow_id == Workflow.id, col(Run.parent).is_(None))
        .order_by(col(Run.id).desc())
        .limit(1)
        .lateral()
    )
    query = (
        select(Workflow.id, last.c.state, last.c.created_at)
        .join(last, true())
        .where(Workflow.client_id == ctx.client_id)
    )
    if workflow_id:
        query = query.where(Workflow.id == workflow_id)
    return {flow: (state, at) for flow, state, at in (await session.exec(query)).all()}


def _row(flow: Workflow, editor: str, latest: str | None, last: tuple[str, datetime] | None) -> Json:
    return {
        "id": flow.id,
        "name": flow.name,
        "description": flow.description,
        "revision": flow.draft_revision,
        "latest_version": flow.latest_version,
        "published_version": flow.published_version,
        "changed": latest != content_hash(parse_document(flow.draft)),
        "steps": len((flow.draft or {}).get("nodes", [])),
        "edited_at": flow.draft_at or flow.created_at,
        "edited_by": editor,
        "last_run_state": last[0] if last else None,
        "last_run_at": last[1] if last else None,
    }


def _name(names: Mapping[UUID, str], account_id: UUID | None) -> str:
    """The name of a member; empty for whoever may not enter this client any more."""
    return names.get(account_id, "") if account_id else ""
