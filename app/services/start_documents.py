"""What a start runs: a version that was found right, a draft, or what a plan has planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Missing, OpsloomError, Problem, Stale
from app.data.link import Rows
from app.data.models.runs import Run
from app.data.models.workflows import Workflow
from app.data.repositories.version_ground import reading
from app.data.trips import Ask, in_session
from app.engine.core.document import Document, canonical, content_hash, parse_document
from app.services import workflow_checks, workflow_versions
from app.services.inputs import Checker
from app.services.known_versions import Version
from app.services.workflow_checks import Surroundings

Json = dict[str, Any]


class NotPublished(OpsloomError):
    """The workflow has no published version, and none was named."""

    status = 409
    code = "not_published"


@dataclass(frozen=True)
class Chosen:
    """The document of a start, and where it is from: a version of the workflow, or ``extra`` that keeps it itself.

    ``variables`` are the client's. ``mark`` stands for all of a version and of what is around it that a start depends
    on; a draft has none. ``is_kept``: it is small enough to be kept.
    """

    workflow_id: UUID
    workflow_name: str
    document: Document
    hash: str
    variables: Mapping[str, Any]
    version: int | None = None
    extra: Json = field(default_factory=dict)
    mark: bytes = b""
    is_kept: bool = False

    @cached_property
    def checker(self) -> Checker:
        """Checks inputs of such a start."""
        return Checker(self.document.inputs)


def asking_version(ctx: Context, workflow: UUID | str, number: int | None) -> Ask:
    """The statement that reads a workflow by id or by name with its version of that number, or else with its published
    one, and what is around it. :func:`chosen_in` reads its answer."""
    known = None if number is None else workflow_versions.as_number(number)
    return reading(ctx.client_id, workflow_versions.as_id(workflow) or str(workflow), known)


def chosen_in(ctx: Context, rows: Rows, number: int | None) -> Chosen:
    """Raises Missing, NotPublished, and Invalid with what is wrong with the version for this client."""
    if not rows:
        raise Missing("workflow")
    workflow_id, name, version, content_hash, content, variables, connections, mark = rows[0]
    if version is None and number is not None:
        raise Missing("version")
    if version is None:
        raise NotPublished(f"{name} has no published version yet. Publish one, or name the version to run.")
    found = Version(ctx.client_id, workflow_id, version, content)
    document = _right(found, Surroundings(connections or {}, variables))
    return Chosen(
        workflow_id, name, document, content_hash, variables, version, mark=bytes(mark), is_kept=found.is_kept
    )


async def choose(
    session: AsyncSession, ctx: Context, workflow: UUID | str, version: int | None = None, draft: Json | None = None
) -> Chosen:
    """The draft, the version of that number, or the published one. Raises Missing, NotPublished, and Invalid with what
    is wrong with it for this client."""
    if draft is None:
        return chosen_in(ctx, await in_session(session, asking_version(ctx, workflow, version)), version)
    ctx.require("workflow.write")
    flow = await workflow_versions.find(session, ctx, workflow)
    document = await workflow_checks.pinned(session, ctx, parse_document(draft))
    around = await workflow_checks.surroundings_of(session, ctx)
    workflow_checks.refuse(workflow_checks.errors_in(document, around))
    extra = {"document": document.as_json()}
    return Chosen(flow.id, flow.name, document, content_hash(document), around.variables, extra=extra)


async def from_plan(
    session: AsyncSession, ctx: Context, workflow: UUID | str, plan_id: UUID, inputs: Mapping[str, Any]
) -> tuple[Workflow, Document, Run]:
    """What a plan run has planned, and that run. A draft that was planned becomes a version now."""
    flow = await workflow_versions.find(session, ctx, workflow)
    planned = await plan_to_follow(session, ctx, plan_id)
    if planned.workflow_id != flow.id:
        raise _not_a_plan()
    if planned.kind == "batch":
        raise Stale("This plan is of a whole table, which has its inputs already. Give none.", code="plan_of_batch")
    if planned.kind != "run":
        raise Stale("This is the plan of an undo. Start that undo instead.", code="plan_of_undo")
    if inputs and dict(inputs) != planned.inputs:
        raise Stale("The inputs are not those of the plan.", code="plan_inputs")
    if planned.version is not None:
        found = await workflow_versions.find_version(session, ctx, flow.id, planned.version)
        return flow, parse_document(found.document), planned
    return flow, parse_document(planned.extra["document"]), planned


async def plan_to_follow(session: AsyncSession, ctx: Context, plan_id: UUID) -> Run:
    """The run of a finished plan. Until the commit it is not archived, and what starts from it keeps it afterwards.

    Raises Stale where there is no such plan, or its steps have been archived.
    """
    found = await session.get(Run, (ctx.client_id, plan_id), with_for_update={"read": True})
    if found is None or found.mode != "plan" or found.state != "succeeded":
        raise _not_a_plan()
    require_plan_kept(found.archived_at)
    return found


def require_plan_kept(archived_at: datetime | None) -> None:
    """Raise Stale where a plan has gone to a file: there is nothing to compare with."""
    if archived_at is not None:
        raise Stale("This plan has been archived. Plan again.", code="plan_unusable")


def _not_a_plan() -> Stale:
    return Stale("This is not a finished plan of this workflow.", code="plan_unusable")


@dataclass(frozen=True)
class _Check:
    """A version among the connections and variables of a client, which stand for what is found wrong."""

    version: Version
    around: bytes
    surroundings: Surroundings = field(compare=False, repr=False)


@lru_cache(maxsize=128)
def _errors(check: _Check) -> tuple[Problem, ...]:
    return tuple(workflow_checks.errors_in(check.version.document(), check.surroundings, stored=True))


def _right(version: Version, around: Surroundings) -> Document:
    """The document of a version. Raises Invalid with what is wrong with it."""
    document = version.document()
    if version.is_kept:
        key = canonical([around.connections, around.variables])
        workflow_checks.refuse(_errors(_Check(version, key, around)))
    else:
        workflow_checks.refuse(workflow_checks.errors_in(document, around, stored=True))
    return document
