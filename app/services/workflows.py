"""Workflows: drafts that are edited, versions that never change, and the version that is published."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.core.context import Context
from app.core.errors import Invalid, Missing, Problem, Stale
from app.core.ids import new_id
from app.data.models.workflows import Workflow, WorkflowVersion
from app.data.repositories import audit
from app.data.session import tenant_session
from app.engine.core.document import parse_document
from app.engine.core.placing import placed
from app.engine.steps.registry import catalogue as step_catalogue
from app.services.approvals import names_in
from app.services.workflow_checks import pinned, problems_of, require_valid
from app.services.workflow_versions import by_name, ensure_version, find, find_version, require_free_name
from app.services.workflow_views import (
    EMPTY_DOCUMENT,
    Imported,
    VersionView,
    WorkflowRow,
    WorkflowView,
    rows,
    version_view,
    view,
)

Json = dict[str, Any]


async def list_workflows(ctx: Context) -> list[WorkflowRow]:
    """The client's workflows by name, with the state of each one's last run."""
    ctx.require("workflow.read")
    async with tenant_session(ctx) as session:
        found = (
            await session.exec(
                select(Workflow)
                .where(Workflow.client_id == ctx.client_id, col(Workflow.archived_at).is_(None))
                .order_by(func.lower(Workflow.name))
            )
        ).all()
        return await rows(session, ctx, found)


async def get(ctx: Context, workflow: UUID | str) -> WorkflowView:
    """One workflow by id or name. Raises Missing."""
    ctx.require("workflow.read")
    async with tenant_session(ctx) as session:
        flow = await find(session, ctx, workflow)
        return await view(session, ctx, flow)


async def create(ctx: Context, *, name: str, document: Json | None = None) -> WorkflowView:
    """A new workflow with a draft. Raises Invalid where the name is empty or taken."""
    ctx.require("workflow.write")
    draft = placed(parse_document({**(document or EMPTY_DOCUMENT), "name": name.strip()})).as_json()
    async with tenant_session(ctx) as session:
        await require_free_name(session, ctx, name.strip())
        flow = Workflow(
            client_id=ctx.client_id,
            id=new_id(),
            name=name.strip(),
            description=draft["description"],
            draft=draft,
            draft_revision=1,
            draft_by=ctx.actor.account_id,
            draft_at=utcnow(),
            created_by=ctx.actor.account_id,
        )
        session.add(flow)
        await session.flush()
        made = await view(session, ctx, flow)
        await audit.record(
            session, ctx, action="workflow_created", target=f"workflow:{flow.id}", details={"name": name}
        )
    return made


async def save_draft(ctx: Context, workflow_id: UUID, *, document: Json, revision: int) -> int:
    """Store the draft that was made from ``revision`` and give the new revision.

    Raises Stale, with the draft that is there in ``params["draft"]``, when someone else saved in between.
    """
    ctx.require("workflow.write")
    draft = parse_document(document).as_json()
    mine = (Workflow.client_id == ctx.client_id, Workflow.id == workflow_id)
    async with tenant_session(ctx) as session:
        # The draft that is there is not read: it is large, and is only needed where the edit comes too late.
        query = select(Workflow.name, Workflow.draft_revision).where(*mine).with_for_update()
        found = (await session.exec(query)).first()
        if found is None:
            raise Missing("workflow")
        name, present = found
        if present != revision:
            raise await _stale(session, ctx, workflow_id)
        if draft["name"] and draft["name"] != name:
            await require_free_name(session, ctx, draft["name"])
        saved = (
            update(Workflow)
            .where(*mine)
            .values(
                name=draft["name"] or name,
                description=draft["description"],
                draft=draft,
                draft_revision=revision + 1,
                draft_by=ctx.actor.account_id,
                draft_at=utcnow(),
            )
        )
        await (await session.connection()).execute(saved)
    return revision + 1


async def _stale(session: AsyncSession, ctx: Context, workflow_id: UUID) -> Stale:
    flow = await find(session, ctx, workflow_id)
    return Stale(
        "Someone else has saved this workflow since you opened it.",
        code="draft_stale",
        params={"revision": flow.draft_revision, "draft": flow.draft},
    )


async def save_version(ctx: Context, workflow_id: UUID, *, revision: int | None = None, note: str = "") -> VersionView:
    """Keep the draft as an immutable version. The same content gives the version that holds it already.

    Raises Invalid with every problem where the draft could not run, Stale where ``revision`` is not the draft's.
    """
    ctx.require("workflow.write")
    async with tenant_session(ctx) as session:
        flow = await find(session, ctx, workflow_id, lock=True)
        if revision is not None and flow.draft_revision != revision:
            raise Stale("Someone else has saved this workflow since you opened it.", code="draft_stale")
        document = await pinned(session, ctx, parse_document(flow.draft))
        await require_valid(session, ctx, document)
        version = await ensure_version(session, ctx, flow, document, note)
        return version_view(version, await names_in(session))


async def publish(ctx: Context, workflow_id: UUID, *, version: int) -> VersionView:
    """Make ``version`` the one that starts use."""
    ctx.require("workflow.publish")
    async with tenant_session(ctx) as session:
        flow = await find(session, ctx, workflow_id, lock=True)
        found = await find_version(session, ctx, flow.id, version)
        await require_valid(session, ctx, parse_document(found.document), stored=True)
        found.published_at = utcnow()
        found.published_by = ctx.actor.account_id
        flow.published_version = version
        session.add_all([found, flow])
        target = f"workflow:{flow.id}@{version}"
        await audit.record(session, ctx, action="workflow_published", target=target, details={"name": flow.name})
        return version_view(found, await names_in(session))


async def versions(ctx: Context, workflow_id: UUID) -> list[VersionView]:
    """The versions of a workflow, newest first, without their documents."""
    ctx.require("workflow.read")
    async with tenant_session(ctx) as session:
        flow = await find(session, ctx, workflow_id)
        found = await session.exec(
            select(WorkflowVersion)
            .where(WorkflowVersion.client_id == ctx.client_id, WorkflowVersion.workflow_id == flow.id)
            .order_by(col(WorkflowVersion.version).desc())
        )
        names = await names_in(session)
        return [version_view(row, names, whole=False) for row in found.all()]


async def version(ctx: Context, workflow_id: UUID, number: int) -> VersionView:
    """One version with its document. Raises Missing."""
    ctx.require("workflow.read")
    async with tenant_session(ctx) as session:
        return version_view(await find_version(session, ctx, workflow_id, number), await names_in(session))


async def archive(ctx: Context, workflow_id: UUID) -> None:
    """Take a workflow out of the lists. Its runs stay."""
    ctx.require("workflow.write")
    async with tenant_session(ctx) as session:
        flow = await find(session, ctx, workflow_id, lock=True)
        flow.archived_at = utcnow()
        session.add(flow)
        await audit.record(session, ctx, action="workflow_archived", target=f"workflow:{flow.id}")


async def validate(ctx: Context, document: Json) -> list[Problem]:
    """Everything that is wrong with ``document`` for this client, each with its node and field."""
    ctx.require("workflow.read")
    try:
        parsed = parse_document(document)
    except Invalid as error:
        return list(error.problems)
    async with tenant_session(ctx) as session:
        return await problems_of(session, ctx, await pinned(session, ctx, parsed))


def catalogue(ctx: Context) -> list[Json]:
    """Every step type with its words, schemas and hints."""
    ctx.require("workflow.read")
    return step_catalogue().as_json()


async def import_document(ctx: Context, *, document: Json, publish_it: bool = True) -> Imported:
    """Create the workflow named in ``document``, or add a version to the one of that name, and publish it."""
    ctx.require("workflow.write")
    if publish_it:
        ctx.require("workflow.publish")
    parsed = parse_document(document)
    if not parsed.name:
        message = "The document has no name."
        raise Invalid(message, problems=[Problem("missing_param", message, field="name")])
    async with tenant_session(ctx) as session:
        await require_valid(session, ctx, await pinned(session, ctx, parsed))
        flow = await by_name(session, ctx, parsed.name, lock=True)
    there = await get(ctx, flow.id) if flow else await create(ctx, name=parsed.name, document=document)
    if flow:
        await save_draft(ctx, there.id, document=placed(parsed).as_json(), revision=there.revision)
    saved = await save_version(ctx, there.id)
    if publish_it:
        await publish(ctx, there.id, version=saved.version)
    return Imported(id=there.id, version=saved.version, name=parsed.name)
