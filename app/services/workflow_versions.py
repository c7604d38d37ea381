"""Workflows and versions as rows: found by id, name or number; the same content kept once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.core.context import Context
from app.core.errors import Invalid, Missing, Problem
from app.core.ids import new_id
from app.data.models.workflows import Workflow, WorkflowVersion
from app.data.repositories import audit
from app.engine.core.document import Document, content_hash

Json = dict[str, Any]
_MOST_VERSIONS = 2**31 - 1


async def find(session: AsyncSession, ctx: Context, workflow: UUID | str, *, lock: bool = False) -> Workflow:
    """The row of a workflow by id or by name. Raises Missing."""
    found = await _first(session, ctx, _named(workflow), lock=lock)
    if not found:
        raise Missing("workflow")
    return found


async def by_name(session: AsyncSession, ctx: Context, name: str, *, lock: bool = False) -> Workflow | None:
    return await _first(session, ctx, _called(name), lock=lock)


async def _first(session: AsyncSession, ctx: Context, where: tuple[Any, ...], *, lock: bool) -> Workflow | None:
    query = select(Workflow).where(Workflow.client_id == ctx.client_id, *where)
    return (await session.exec(query.with_for_update() if lock else query)).first()


def as_id(workflow: UUID | str) -> UUID | None:
    """The id that is meant, or None where it is a name."""
    try:
        return workflow if isinstance(workflow, UUID) else UUID(workflow)
    except ValueError:
        return None


def _named(workflow: UUID | str) -> tuple[Any, ...]:
    """What the row of a workflow has that is meant by an id or by a name."""
    named = as_id(workflow)
    return (col(Workflow.id) == named,) if named else _called(str(workflow))


def _called(name: str) -> tuple[Any, ...]:
    return (col(Workflow.name) == name, col(Workflow.archived_at).is_(None))


def as_number(number: int) -> int:
    """The number of a version as the database takes it: one that no version can have is as good as 0."""
    return number if 0 < number <= _MOST_VERSIONS else 0


async def find_version(session: AsyncSession, ctx: Context, workflow_id: UUID, number: int) -> WorkflowVersion:
    """The row of a version. Raises Missing."""
    found = await session.get(WorkflowVersion, (ctx.client_id, workflow_id, as_number(number)))
    if not found:
        raise Missing("version")
    return found


async def require_free_name(session: AsyncSession, ctx: Context, name: str) -> None:
    code = None if name else "missing_param"
    if name and await by_name(session, ctx, name):
        code = "name_taken"
    if code:
        message = (
            "Give the workflow a name." if code == "missing_param" else f"There is a workflow called {name} already."
        )
        raise Invalid(message, code=code, problems=[Problem(code, message, field="name", params={"name": name})])


async def ensure_version(
    session: AsyncSession,
    ctx: Context,
    flow: Workflow,
    document: Document,
    note: str = "",
    author: UUID | None = None,
) -> WorkflowVersion:
    """The version of ``flow`` that executes ``document``: the latest with that hash, or a new one."""
    digest = content_hash(document)
    existing = (
        await session.exec(
            select(WorkflowVersion)
            .where(
                WorkflowVersion.client_id == ctx.client_id,
                WorkflowVersion.workflow_id == flow.id,
                WorkflowVersion.hash == digest,
            )
            .order_by(col(WorkflowVersion.version).desc())
        )
    ).first()
    if existing:
        return existing
    version = WorkflowVersion(
        client_id=ctx.client_id,
        workflow_id=flow.id,
        version=(flow.latest_version or 0) + 1,
        document=document.as_json(),
        hash=digest,
        note=note,
        author_id=author or ctx.actor.account_id,
    )
    session.add(version)
    await session.flush()
    flow.latest_version = version.version
    session.add(flow)
    target = f"workflow:{flow.id}@{version.version}"
    await audit.record(session, ctx, action="workflow_version_saved", target=target, details={"hash": digest})
    return version


async def _free_title(session: AsyncSession, ctx: Context, name: str, other: str) -> str:
    """``name``, or where the client has a workflow of that name, ``other``, numbered where need be."""
    title, number = name, 1
    while await by_name(session, ctx, title):
        title = other if number == 1 else f"{other} {number}"
        number += 1
    return title


async def adopt(
    session: AsyncSession, ctx: Context, *, name: str, document: Document, author: UUID | None, origin: Json
) -> WorkflowVersion:
    """A version that was made in another client, kept here as it is: same hash, same author, its origin noted.

    ``origin`` names ``client`` and ``workflow``; what came from the same place before gets another version.
    """
    key = {"client": origin["client"], "workflow": origin["workflow"]}
    query = select(Workflow).where(Workflow.client_id == ctx.client_id, col(Workflow.origin).contains(key))
    flow = (await session.exec(query.with_for_update())).first()
    if flow is None:
        title = await _free_title(session, ctx, name, f"{name} ({origin['slug']})")
        made_by = ctx.actor.account_id
        flow = Workflow(client_id=ctx.client_id, id=new_id(), name=title, origin=origin, created_by=made_by)
        flow.draft, flow.draft_revision, flow.draft_at = document.as_json(), 1, utcnow()
        session.add(flow)
        await session.flush()
    return await ensure_version(session, ctx, flow, document, author=author)
