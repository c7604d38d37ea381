"""Workflows: drafts, versions, publishing; and the catalogue of step types."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends

from app.api.bodies import Documented, Draft, Import, Json, NewVersion, NewWorkflow, Publish
from app.api.who import InClient, SignedInActor
from app.core.errors import Missing
from app.engine.steps.registry import catalogue
from app.services import workflows
from app.services.workflow_views import Imported, VersionView, WorkflowRow, WorkflowView

router = APIRouter(tags=["workflows"])


@router.get("/actions")
async def list_actions(_actor: SignedInActor) -> list[Json]:
    """Every step type with its words, ports and schemas."""
    return catalogue().as_json()


@router.get("/clients/{client}/workflows")
async def list_workflows(ctx: InClient) -> list[WorkflowRow]:
    """The client's workflows by name."""
    return await workflows.list_workflows(ctx)


@router.post("/clients/{client}/workflows", status_code=201)
async def create(ctx: InClient, body: NewWorkflow) -> WorkflowView:
    """A new workflow with a draft."""
    return await workflows.create(ctx, name=body.name, document=body.document)


@router.post("/clients/{client}/workflows/validate")
async def validate(ctx: InClient, body: Documented) -> dict[str, Any]:
    """Everything that is wrong with a document for this client, each with its node and field. Stores nothing."""
    problems = await workflows.validate(ctx, body.document)
    wrong = any(problem.severity == "error" for problem in problems)
    return {"valid": not wrong, "problems": [problem.as_json() for problem in problems]}


@router.post("/clients/{client}/workflows/import", status_code=201)
async def import_document(ctx: InClient, body: Import) -> Imported:
    """Bring in a document: a new workflow, or a new version of the one of that name."""
    return await workflows.import_document(ctx, document=body.document, publish_it=body.publish)


async def _workflow_id(ctx: InClient, workflow: str) -> UUID:
    """A workflow may be named by its id or its name."""
    return (await workflows.get(ctx, workflow)).id


WorkflowId = Depends(_workflow_id)


@router.get("/clients/{client}/workflows/{workflow}")
async def get(ctx: InClient, workflow: str) -> WorkflowView:
    """One workflow with its draft, by id or name."""
    return await workflows.get(ctx, workflow)


@router.put("/clients/{client}/workflows/{workflow}/draft")
async def save_draft(ctx: InClient, body: Draft, workflow_id: UUID = WorkflowId) -> dict[str, int]:
    """Store a draft that was made from a revision; 409 where someone else saved in between."""
    return {"revision": await workflows.save_draft(ctx, workflow_id, document=body.document, revision=body.revision)}


@router.get("/clients/{client}/workflows/{workflow}/versions")
async def versions(ctx: InClient, workflow_id: UUID = WorkflowId) -> list[VersionView]:
    """The versions, newest first."""
    return await workflows.versions(ctx, workflow_id)


@router.post("/clients/{client}/workflows/{workflow}/versions", status_code=201)
async def save_version(ctx: InClient, given: NewVersion | None = None, workflow_id: UUID = WorkflowId) -> VersionView:
    """Keep the draft, or the document that is sent, as an immutable version."""
    body = given or NewVersion()
    revision = body.revision
    if body.document is not None:
        seen = revision if revision is not None else (await workflows.get(ctx, workflow_id)).revision
        revision = await workflows.save_draft(ctx, workflow_id, document=body.document, revision=seen)
    made = await workflows.save_version(ctx, workflow_id, revision=revision, note=body.note)
    return await workflows.publish(ctx, workflow_id, version=made.version) if body.publish else made


@router.get("/clients/{client}/workflows/{workflow}/versions/{version}")
async def version(ctx: InClient, version: int, workflow_id: UUID = WorkflowId) -> VersionView:
    """One version with its document."""
    return await workflows.version(ctx, workflow_id, version)


@router.post("/clients/{client}/workflows/{workflow}/publish")
async def publish(ctx: InClient, body: Publish | None = None, workflow_id: UUID = WorkflowId) -> VersionView:
    """Make a version the one that starts use."""
    version = body.version if body else None
    if version is None:
        version = (await workflows.get(ctx, workflow_id)).latest_version
    if version is None:
        raise Missing("version")
    return await workflows.publish(ctx, workflow_id, version=version)


@router.delete("/clients/{client}/workflows/{workflow}", status_code=204)
async def archive(ctx: InClient, workflow_id: UUID = WorkflowId) -> None:
    """Take a workflow out of the lists. Its runs stay."""
    await workflows.archive(ctx, workflow_id)
