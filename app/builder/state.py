"""The builder's state: the messages to the browser, and the handlers of what the browser asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any
from uuid import UUID

from app.builder import requests, views
from app.builder.edits import take
from app.builder.follow import follow
from app.builder.post import post
from app.core.context import Context
from app.core.errors import OpsloomError
from app.services import connections, runs, workflows
from app.ui.session import PageState, SessionState, guarded, opens, route_param

Json = dict[str, Any]

# Long enough for a burst of edits to be checked once, short enough to be seen as at once.
CHECK_AFTER_S = 0.15
KNOWN_OPS = 500


def here(state: BuilderState) -> UUID:
    """The workflow of the address."""
    return views.workflow_id(route_param(state, "workflow"))


def note_taken(state: BuilderState, ops: Sequence[str], revision: int) -> None:
    """Remember operations that are in the draft of ``revision``, which is to be checked."""
    state._known_ops = [*state._known_ops, *ops][-KNOWN_OPS:]
    state._to_check = revision


async def check(state: BuilderState, ctx: Context, document: Json, revision: int) -> None:
    """Say what is wrong with the draft, unless a newer one has come meanwhile."""
    await asyncio.sleep(CHECK_AFTER_S)
    async with state:
        superseded = state._to_check != revision
    if not superseded:
        await post(state, views.problems(await workflows.validate(ctx, document), revision))


async def answer(state: BuilderState, asked: requests.Request, work: Awaitable[Json]) -> Json:
    """Send what ``work`` gives, or the problem that it ran into: whoever asked sees it where they asked."""
    try:
        message = await work
    except OpsloomError as error:
        message = {"kind": "problem", "problem": error.as_problem()}
    await post(state, message, request=asked)
    return message


async def saved_version(ctx: Context, workflow: UUID, revision: int, note: str) -> Json:
    """Keep the draft as a version; ``created`` says whether it is a new one."""
    before = (await workflows.get(ctx, workflow)).latest_version
    saved = await workflows.save_version(ctx, workflow, revision=revision, note=note)
    created = before is None or saved.version > before
    return {"kind": "saved_version", "version": saved.version, "revision": revision, "created": created}


async def published(ctx: Context, workflow: UUID, asked: requests.Publish) -> Json:
    """Publish a version, or the draft as a version."""
    number = asked.version
    if number is None:
        number = (await workflows.save_version(ctx, workflow, revision=asked.revision)).version
    view = await workflows.publish(ctx, workflow, version=number)
    return {"kind": "published", "version": view.version, "revision": None if asked.version else asked.revision}


async def started(ctx: Context, workflow: UUID, asked: requests.Start) -> Json:
    """Start a sealed plan as it is, a version that holds the drawing, or a part of the drawing itself."""
    common = {"workflow": workflow, "mode": asked.mode, "idempotency_key": asked.key}
    if asked.plan:
        run = await runs.start(ctx, **common, plan=asked.plan)
    elif "workflow.write" not in ctx.permissions:
        run = await runs.start(ctx, **common, inputs=asked.inputs, only_node=asked.node)
    elif asked.mode == "apply" and not asked.node:
        saved = await workflows.save_version(ctx, workflow, revision=asked.revision)
        run = await runs.start(ctx, **common, inputs=asked.inputs, version=saved.version)
    else:
        draft = (await workflows.get(ctx, workflow)).draft
        run = await runs.start(ctx, **common, inputs=asked.inputs, draft=draft, only_node=asked.node)
    return {"kind": "started", "run": str(run)}


async def cancelled(ctx: Context, run: UUID) -> Json:
    """Ask a run to stop."""
    await runs.cancel(ctx, run)
    return {"kind": "cancel_asked", "run": str(run)}


class BuilderState(PageState, SessionState):
    """Nothing of the drawing is kept here: the draft is in the database, and what is shown is in the browser."""

    inbox: Json = {}
    _known_ops: list[str] = []
    _to_check: int = 0
    _followed: str = ""

    @opens("workflow.read")
    async def open(self, context: Context) -> None:
        """Show the workflow of the address; again after the connection was lost."""
        message = await views.opened(context, here(self), self._known_ops)
        revision = message["revision"]
        await post(self, message, anew=True, change=lambda state: note_taken(state, (), revision))
        await check(self, context, message["document"], revision)

    @guarded("workflow.read")
    async def received(self, context: Context, payload: Json) -> None:
        """Forget the messages that have arrived."""
        await post(self, request=requests.read(requests.Request, payload))

    @guarded("workflow.write")
    async def push(self, context: Context, payload: Json) -> None:
        """Take operations into the draft and say so; then check what it has become."""
        asked = requests.read(requests.Push, payload)
        ops = [op.model_dump() for op in asked.ops]
        message, document = await take(context, here(self), ops, asked.base, frozenset(self._known_ops))
        if document is None:
            await post(self, message, request=asked)
            return
        taken = [op["id"] for op in ops]
        await post(self, message, request=asked, change=lambda state: note_taken(state, taken, message["revision"]))
        await check(self, context, document, message["revision"])

    @guarded("run.plan")
    async def choices(self, context: Context, payload: Json) -> None:
        """What a field offers in the client's tenant."""
        asked = requests.read(requests.Choices, payload)
        try:
            hint = views.choice_hint(context, asked.type, asked.field)
            rows = await connections.choices(context, connection=asked.connection, action=hint["action"])
            found = {"state": "ready", "rows": views.choices(rows, hint)}
        except OpsloomError as error:
            found = {"state": "error", "rows": [], "problem": error.as_problem()}
        await post(self, {"kind": "choices", "request": asked.request, **found}, request=asked)

    @guarded("workflow.write")
    async def save_version(self, context: Context, payload: Json) -> None:
        """Keep the draft as a version."""
        asked = requests.read(requests.SaveVersion, payload)
        await answer(self, asked, saved_version(context, here(self), asked.revision, asked.note))

    @guarded("workflow.publish")
    async def publish(self, context: Context, payload: Json) -> None:
        """Publish a version, or the draft as a new one."""
        asked = requests.read(requests.Publish, payload)
        await answer(self, asked, published(context, here(self), asked))

    @guarded("workflow.read")
    async def list_versions(self, context: Context, payload: Json) -> None:
        """The versions of the workflow."""
        rows = [views.version(row) for row in await workflows.versions(context, here(self))]
        await post(self, {"kind": "versions", "rows": rows}, request=requests.read(requests.Request, payload))

    @guarded("workflow.read")
    async def show_version(self, context: Context, payload: Json) -> None:
        """One version with its document."""
        asked = requests.read(requests.OneVersion, payload)
        found = await workflows.version(context, here(self), asked.version)
        await post(self, {"kind": "version", **views.version(found, whole=True)}, request=asked)

    @guarded("run.plan")
    async def start(self, context: Context, payload: Json) -> None:
        """Start a plan or a run and follow it."""
        asked = requests.read(requests.Start, payload)
        run = await answer(self, asked, started(context, here(self), asked))
        if run["kind"] == "started":
            await follow(self, context, UUID(run["run"]), only_node=asked.node, revision=asked.revision)

    @guarded("run.read")
    async def watch(self, context: Context, payload: Json) -> None:
        """Follow a run, or none any more."""
        asked = requests.read(requests.Watch, payload)
        if asked.run:
            await follow(self, context, asked.run)
            return
        async with self:
            self._followed = ""

    @guarded("run.cancel")
    async def cancel(self, context: Context, payload: Json) -> None:
        """Ask the run to stop."""
        asked = requests.read(requests.Cancel, payload)
        await answer(self, asked, cancelled(context, asked.run))
