"""Starting a run. Everything is checked before anything is stored.

A table of them is started in :mod:`app.services.start_tables`, the reverse of a run in :mod:`app.services.undos`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.context import Context
from app.core.errors import Invalid, Missing, OpsloomError, Problem
from app.core.ids import new_id
from app.data.repositories.runs import NewRun
from app.data.trips import tenant_trip
from app.engine.core.document import Document
from app.services import workflow_versions
from app.services.hands import handed_on
from app.services.known_starts import last_chosen, remember, still_so
from app.services.run_rules import priority_of, slots_among, slots_of
from app.services.start_documents import Chosen, asking_version, choose, chosen_in, from_plan
from app.services.start_keys import Asked, Mode, asking_earlier, by_key, earlier_in, once, unless_started
from app.services.start_storing import queue, queue_at_once
from app.services.undone import require_not_undone

Json = dict[str, Any]


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
    priority: str | None = None,
) -> UUID:
    """Queue a run and give its id. The same ``idempotency_key`` gives the run that it started the first time, and is
    refused (Stale) where anything else is asked for with it.

    Without ``version`` the published one is taken; ``draft`` is a document to plan (or of which to try one step) as it
    is. ``plan`` names the plan run whose seal must still hold; its inputs and document are used. Of a client's runs
    those of a higher ``priority`` (``low``, ``normal``, ``high``) are taken first; left out, it is that of the plan, or
    normal.

    ``only_node`` is done alone, without the steps before it: for real it takes the right to draw workflows.

    Raises Invalid naming each input or node that is wrong, Missing, NotPublished, Stale for a plan that is not one.
    """
    details = {"version": version, "draft": draft, "plan": plan, "only_node": only_node}
    details["priority"] = priority or "normal"
    asked = Asked(workflow, mode, inputs or {}, idempotency_key, details=details)
    allowed(ctx, mode)
    urgency = priority_of(ctx, priority or "normal")
    if draft is None and plan is None:
        return await _start_version(ctx, asked, version, only_node=only_node, priority=urgency)

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
            priority=urgency if priority else None,
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
    priority: str = "normal",
) -> UUID:
    """As :func:`start`, inside the transaction of what starts the run by itself; ``trigger`` is kept with the run.

    Raises sqlalchemy's IntegrityError where another transaction has just started a run with this key.
    """
    allowed(ctx, mode)
    urgency = priority_of(ctx, priority)
    asked = Asked(workflow, mode, inputs, idempotency_key)
    return await _start(
        session,
        ctx,
        asked,
        version=version,
        draft=None,
        plan=None,
        only_node=None,
        trigger=trigger,
        priority=urgency,
    )


def label_of(schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """A few words by which people know a run: the first required text input, or the first text there is."""
    names = [*schema.get("required", ()), *schema.get("properties", {})]
    texts = (inputs.get(name) for name in names)
    return next((value for value in texts if isinstance(value, str) and value), "")[:200]


def allowed(ctx: Context, mode: Mode) -> None:
    """Raise Forbidden, or Invalid for a mode that there is not."""
    ctx.require("run.plan" if mode == "plan" else "run.start")
    check_mode(mode)


def require_may_leave_out(ctx: Context, only_node: str | None, mode: Mode) -> None:
    """Raise Forbidden where one step is to be done without those before it, conditions and approvals that the author
    drew among them, by somebody who may not draw workflows. What it would change may be looked at."""
    if only_node and mode == "apply":
        ctx.require("workflow.write")


async def _start_version(
    ctx: Context, asked: Asked, version: int | None, *, only_node: str | None, priority: int
) -> UUID:
    """Start a version that is there, where it has just been started before, in one round trip.

    Otherwise what is needed is read in one round trip and the run stored in another. Nothing of what was read can be
    taken away in between: a version stays as it is, and a connection that is removed then could as well be removed a
    moment later.
    """

    def made(chosen: Chosen) -> NewRun:
        run = _fresh(ctx, asked, chosen)
        run.only_node, run.priority = _known_node(only_node, chosen.document), priority
        require_may_leave_out(ctx, run.only_node, asked.mode)
        run.extra |= slots_among(chosen.variables, chosen.document, [(None, run.inputs)])[0]
        return run

    async def work() -> UUID:
        if known := last_chosen(ctx, asked, version):
            with suppress(OpsloomError):  # of what may have been mended since
                run = made(known)
                if await queue_at_once(ctx, run, where=still_so(ctx, asked, version, known)):
                    return run.id
        rows, *earlier = await tenant_trip(
            ctx, asking_version(ctx, asked.workflow, version), *asking_earlier(ctx, asked)
        )
        if earlier and (found := earlier_in(earlier[0], asked)):
            return found
        chosen = chosen_in(ctx, rows, version)
        run = made(chosen)
        await queue_at_once(ctx, run)
        remember(ctx, asked, version, chosen)
        return run.id

    return await unless_started(ctx, asked, work)


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
    priority: int | None,
) -> UUID:
    if earlier := await by_key(session, ctx, asked):
        return earlier
    if plan:
        run, document = await _planned(session, ctx, asked, plan)
    else:
        chosen = await choose(session, ctx, asked.workflow, version, draft)
        run, document = _fresh(ctx, asked, chosen), chosen.document
    run.only_node = _known_node(only_node, document) or run.only_node
    require_may_leave_out(ctx, run.only_node, asked.mode)
    run.priority = run.priority if priority is None else priority
    (extra,) = await slots_of(session, ctx, document, [(None, run.inputs)])
    run.extra = {**run.extra, **extra}
    if trigger:
        run.extra = {**run.extra, "trigger": trigger}
    await queue(session, ctx, run)
    return run.id


def _fresh(ctx: Context, asked: Asked, chosen: Chosen) -> NewRun:
    inputs = chosen.checker.checked(asked.inputs)
    return NewRun(
        client_id=ctx.client_id,
        id=new_id(),
        workflow_id=chosen.workflow_id,
        version=chosen.version,
        document_hash=chosen.hash,
        mode=asked.mode,
        inputs=inputs,
        label=label_of(chosen.document.inputs, inputs),
        idempotency_key=asked.key,
        extra={**chosen.extra, **asked.kept},
    )


async def _planned(session: AsyncSession, ctx: Context, asked: Asked, plan: UUID) -> tuple[NewRun, Document]:
    """A plan of one step, or of a run that begins in the middle, is carried out as that and not from the beginning."""
    flow, document, planned = await from_plan(session, ctx, asked.workflow, plan, asked.inputs)
    if planned.follows:
        await require_not_undone(session, ctx, planned.follows)
    version = planned.version
    if version is None:
        # It was written by whoever had it planned, not by who now starts that.
        made = await workflow_versions.ensure_version(session, ctx, flow, document, author=planned.started_by)
        version = made.version
    run = NewRun(
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
        priority=planned.priority,
        idempotency_key=asked.key,
        extra={
            **{name: planned.extra[name] for name in ("why", "from", "kept") if name in planned.extra},
            **handed_on(planned.extra, planned.started_by),
            **asked.kept,
        },
    )
    return run, document


def check_mode(mode: str) -> None:
    """Raise Invalid for another mode than ``plan`` or ``apply``."""
    if mode not in ("plan", "apply"):
        message = "The mode is plan or apply."
        raise Invalid(message, problems=[Problem("not_one_of", message, field="mode")])


def _known_node(only_node: str | None, document: Document) -> str | None:
    if only_node and only_node not in {node.id for node in document.nodes}:
        raise Missing("step")
    return only_node
