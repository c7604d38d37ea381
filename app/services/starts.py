"""Starting a run. Everything is checked before anything is stored.

A table of them is started in :mod:`app.services.start_tables`, the reverse of a run in :mod:`app.services.undos`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Invalid, Missing, Problem, Stale
from app.core.ids import new_id
from app.core.settings import get_settings
from app.data.models.runs import Run
from app.data.models.workflows import Workflow
from app.data.repositories import audit
from app.data.session import after_commit, tenant_session
from app.engine.core.document import Document
from app.engine.runtime.ending import wake_run
from app.engine.runtime.wakeup import wake
from app.services import workflow_versions
from app.services.inputs import checked
from app.services.run_rules import priority_of, slots_of
from app.services.start_documents import Chosen, choose, from_plan

Json = dict[str, Any]
Mode = Literal["plan", "apply"]
_KEY_CONSTRAINT = "runs_idempotency_key"


async def start(
    ctx: Context,
    *,
    workflow: UUID | str,
    inputs: Mapping[str, Any] | None = None,
    mode: Mode = "plan",
    version: int | None = None,
    draft: Json | None = None,
    plan: UUID | None = None,
    idempotency_key: str | None = None,
    only_node: str | None = None,
    priority: str = "normal",
) -> UUID:
    """Queue a run and give its id. The same ``idempotency_key`` gives the run that it started the first time.

    Without ``version`` the published one is taken; ``draft`` is a document to plan (or of which to try one step) as it
    is. ``plan`` names the plan run whose seal must still hold; its inputs and document are used. Of a client's runs
    those of a higher ``priority`` (``low``, ``normal``, ``high``) are taken first.

    Raises Invalid naming each input or node that is wrong, Missing, NotPublished, Stale for a plan that is not one.
    """
    asked = Asked(workflow, mode, inputs or {}, idempotency_key)
    allowed(ctx, mode)
    urgency = priority_of(ctx, priority)

    async def work(session: AsyncSession) -> UUID:
        return await _start(
            session,
            ctx,
            asked,
            version=version,
            draft=draft,
            plan=plan,
            only_node=only_node,
            trigger=None,
            priority=urgency,
        )

    return await once(ctx, asked, work)


async def start_in(
    session: AsyncSession,
    ctx: Context,
    *,
    workflow: UUID | str,
    inputs: Mapping[str, Any],
    mode: Mode,
    version: int | None,
    idempotency_key: str,
    trigger: Json,
) -> UUID:
    """As :func:`start`, inside the transaction of what starts the run by itself; ``trigger`` is kept with the run.

    Raises sqlalchemy's IntegrityError where another transaction has just started a run with this key.
    """
    allowed(ctx, mode)
    asked = Asked(workflow, mode, inputs, idempotency_key)
    return await _start(session, ctx, asked, version=version, draft=None, plan=None, only_node=None, trigger=trigger)


def label_of(schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """A few words by which people know a run: the first required text input, or the first text there is."""
    names = [*schema.get("required", ()), *schema.get("properties", {})]
    texts = (inputs.get(name) for name in names)
    return next((value for value in texts if isinstance(value, str) and value), "")[:200]


@dataclass(frozen=True)
class Asked:
    """What a start asks for, as far as a repeated idempotency key must ask for the same."""

    workflow: UUID | str
    mode: Mode
    inputs: Mapping[str, Any]
    key: str | None
    kind: str = "run"


def allowed(ctx: Context, mode: Mode) -> None:
    """Raise Forbidden, or Invalid for a mode that there is not."""
    ctx.require("run.plan" if mode == "plan" else "run.start")
    check_mode(mode)


async def once(ctx: Context, asked: Asked, work: Callable[[AsyncSession], Awaitable[UUID]]) -> UUID:
    """Do it in a transaction of its own. Where somebody starts a run with the same key meanwhile, theirs is the run."""
    try:
        async with tenant_session(ctx) as session:
            return await work(session)
    except IntegrityError as error:
        if not asked.key or _KEY_CONSTRAINT not in str(error.orig):
            raise
    async with tenant_session(ctx) as session:
        earlier = await by_key(session, ctx, asked)
    if earlier is None:
        raise Stale("A run with this idempotency key has just been started.", code="idempotency_race")
    return earlier


async def _start(
    session: AsyncSession,
    ctx: Context,
    asked: Asked,
    *,
    version: int | None,
    draft: Json | None,
    plan: UUID | None,
    only_node: str | None,
    trigger: Json | None,
    priority: int = 0,
) -> UUID:
    if earlier := await by_key(session, ctx, asked):
        return earlier
    if plan:
        run, document = await _planned(session, ctx, asked, plan)
    else:
        run, document = _fresh(ctx, asked, await choose(session, ctx, asked.workflow, version, draft))
    run.only_node = _known_node(only_node, document) or run.only_node
    run.idempotency_key, run.priority = asked.key, priority
    (extra,) = await slots_of(session, ctx, document, [(None, run.inputs)])
    run.extra = {**run.extra, **extra}
    if trigger:
        run.extra = {**run.extra, "trigger": trigger}
    await queue(session, ctx, run)
    return run.id


def _fresh(ctx: Context, asked: Asked, chosen: Chosen) -> tuple[Run, Document]:
    inputs = checked(chosen.document.inputs, asked.inputs)
    run = Run(
        client_id=ctx.client_id,
        id=new_id(),
        workflow_id=chosen.flow.id,
        version=chosen.version,
        document_hash=chosen.hash,
        mode=asked.mode,
        inputs=inputs,
        label=label_of(chosen.document.inputs, inputs),
        extra=chosen.extra,
    )
    return run, chosen.document


async def _planned(session: AsyncSession, ctx: Context, asked: Asked, plan: UUID) -> tuple[Run, Document]:
    """A plan of one step, or of a run that begins in the middle, is carried out as that and not from the beginning."""
    flow, document, planned = await from_plan(session, ctx, asked.workflow, plan, asked.inputs)
    version = planned.version
    if version is None:
        version = (await workflow_versions.ensure_version(session, ctx, flow, document)).version
    run = Run(
        client_id=ctx.client_id,
        id=new_id(),
        workflow_id=flow.id,
        version=version,
        document_hash=planned.document_hash,
        mode=asked.mode,
        inputs=planned.inputs,
        label=planned.label,
        sealed_plan=planned.id,
        follows=planned.follows,
        only_node=planned.only_node,
        extra={name: planned.extra[name] for name in ("why", "from", "kept") if name in planned.extra},
    )
    return run, document


def check_mode(mode: str) -> None:
    """Raise Invalid for another mode than ``plan`` or ``apply``."""
    if mode not in ("plan", "apply"):
        message = "The mode is plan or apply."
        raise Invalid(message, problems=[Problem("not_one_of", message, field="mode")])


async def by_key(session: AsyncSession, ctx: Context, asked: Asked) -> UUID | None:
    """The run that this key has started. Raises Stale where it was started for something else."""
    if not asked.key:
        return None
    query = (
        select(Run, Workflow.name)
        .join(Workflow, (col(Workflow.client_id) == col(Run.client_id)) & (col(Workflow.id) == col(Run.workflow_id)))
        .where(Run.client_id == ctx.client_id, Run.idempotency_key == asked.key)
    )
    found = (await session.exec(query)).first()
    if found is None:
        return None
    earlier, name = found
    same = str(asked.workflow) in (str(earlier.workflow_id), name) and asked.mode == earlier.mode
    given = all(earlier.inputs.get(key) == value for key, value in asked.inputs.items())
    if not (same and given and asked.kind == earlier.kind):
        message = "This idempotency key has started another run. Take a new key for another start."
        raise Stale(message, code="idempotency_other", params={"run": str(earlier.id)})
    return earlier.id


def _known_node(only_node: str | None, document: Document) -> str | None:
    if only_node and only_node not in {node.id for node in document.nodes}:
        raise Missing("step")
    return only_node


async def queue(session: AsyncSession, ctx: Context, run: Run, told: Json | None = None) -> None:
    """Store a new run, started by the actor, and have it walked once the transaction is committed.

    ``told`` is what the audit trail says of it beside the usual.
    """
    run.started_by, run.started_by_name = ctx.actor.account_id, ctx.actor.name or ctx.actor.email
    session.add(run)
    await session.flush()
    await wake_run(session, ctx.client_id, run.id, run.priority)
    details = {
        "mode": run.mode,
        "kind": run.kind,
        "workflow": str(run.workflow_id),
        "version": run.version,
        **(told or {}),
    }
    await audit.record(session, ctx, action="run_started", target=f"run:{run.id}", details=details)
    after_commit(session, lambda: wake(get_settings().redis_url))
