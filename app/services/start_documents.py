"""What a start runs: a version that was found right, a draft, or what a plan has planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import OpsloomError, Problem, Stale
from app.data.models.runs import Run
from app.data.models.workflows import Workflow, WorkflowVersion
from app.engine.core.document import Document, canonical, content_hash, parse_document
from app.services import workflow_checks, workflow_versions
from app.services.workflow_checks import Surroundings

Json = dict[str, Any]

# A larger document is read and checked at every start: what is kept must not fill the memory.
_MOST_NODES_KEPT = 500


class NotPublished(OpsloomError):
    """The workflow has no published version, and none was named."""

    status = 409
    code = "not_published"


@dataclass(frozen=True)
class Chosen:
    """The document of a start, and where it is from: a version of the workflow, or ``extra`` that keeps it itself."""

    flow: Workflow
    document: Document
    hash: str
    version: int | None = None
    extra: Json = field(default_factory=dict)


async def choose(
    session: AsyncSession, ctx: Context, workflow: UUID | str, version: int | None = None, draft: Json | None = None
) -> Chosen:
    """The draft, the version of that number, or the published one. Raises Missing, NotPublished, and Invalid with what
    is wrong with it for this client."""
    if draft is not None:
        ctx.require("workflow.write")
        flow = await workflow_versions.find(session, ctx, workflow)
        document = await workflow_checks.pinned(session, ctx, parse_document(draft))
        await workflow_checks.require_valid(session, ctx, document)
        return Chosen(flow, document, content_hash(document), extra={"document": document.as_json()})
    flow, found = await workflow_versions.with_version(session, ctx, workflow, version)
    if found is None:
        raise NotPublished(f"{flow.name} has no published version yet. Publish one, or name the version to run.")
    document = await _right(session, ctx, found)
    return Chosen(flow, document, found.hash, found.version)


async def from_plan(
    session: AsyncSession, ctx: Context, workflow: UUID | str, plan_id: UUID, inputs: Mapping[str, Any]
) -> tuple[Workflow, Document, Run]:
    """What a plan run has planned, and that run. A draft that was planned becomes a version now."""
    flow = await workflow_versions.find(session, ctx, workflow)
    planned = await session.get(Run, (ctx.client_id, plan_id))
    if planned is None or planned.mode != "plan" or planned.state != "succeeded" or planned.workflow_id != flow.id:
        raise Stale("This is not a finished plan of this workflow.", code="plan_unusable")
    if planned.archived_at is not None:
        raise Stale("This plan has been archived. Plan again.", code="plan_unusable")
    if planned.kind == "batch":
        raise Stale("This plan is of a whole table. Start it as a batch.", code="plan_of_batch")
    if planned.kind != "run":
        raise Stale("This is the plan of an undo. Start that undo instead.", code="plan_of_undo")
    if inputs and dict(inputs) != planned.inputs:
        raise Stale("The inputs are not those of the plan.", code="plan_inputs")
    if planned.version is not None:
        found = await workflow_versions.find_version(session, ctx, flow.id, planned.version)
        return flow, parse_document(found.document), planned
    return flow, parse_document(planned.extra["document"]), planned


@dataclass(frozen=True)
class _Version:
    """A version never changes, so its numbers stand for its content."""

    client_id: UUID
    workflow_id: UUID
    number: int
    content: Json = field(compare=False, repr=False)


@dataclass(frozen=True)
class _Check:
    """A version among the connections and variables of a client, which stand for what is found wrong."""

    version: _Version
    around: bytes
    surroundings: Surroundings = field(compare=False, repr=False)


@lru_cache(maxsize=128)
def _parsed(version: _Version) -> Document:
    return parse_document(version.content)


@lru_cache(maxsize=128)
def _errors(check: _Check) -> tuple[Problem, ...]:
    return tuple(workflow_checks.errors_in(_parsed(check.version), check.surroundings))


async def _right(session: AsyncSession, ctx: Context, found: WorkflowVersion) -> Document:
    """The document of a version. Raises Invalid with what is wrong with it."""
    if len(found.document.get("nodes", ())) > _MOST_NODES_KEPT:
        document = parse_document(found.document)
        await workflow_checks.require_valid(session, ctx, document)
        return document
    version = _Version(found.client_id, found.workflow_id, found.version, found.document)
    surroundings = await workflow_checks.surroundings_of(session, ctx)
    around = canonical([surroundings.connections, surroundings.variables])
    workflow_checks.refuse(_errors(_Check(version, around, surroundings)))
    return _parsed(version)
