"""A client's workflows: open, create, import, start."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.core.context import Context
from app.services import workflows
from app.services.templates import templates
from app.ui.attempt import Attempts, attempt
from app.ui.frame import page_frame
from app.ui.i18n import t
from app.ui.js import module
from app.ui.parts import link_button
from app.ui.rows import identifier, may
from app.ui.session import PageState, SessionState, as_json, guarded, opens, tell
from app.ui.start import start_dialog
from app.ui.table import Column, data_table

ROUTE = "/c/[client]/workflows"
Json = dict[str, Any]

COLUMNS = (
    Column("name", "workflows.name", kind="main"),
    Column("standing", "workflows.standing", kind="state"),
    Column("published_version", "workflows.version", kind="number", align="end", narrow=False),
    Column("steps", "workflows.steps", kind="number", align="end", narrow=False),
    Column("last_run_state", "workflows.last_run", kind="state", narrow=False),
    Column("last_run_at", "workflows.last_run_at", kind="time", narrow=False),
    Column("edited_by", "workflows.edited_by", narrow=False, hidden=True),
    Column("edited_at", "workflows.edited", kind="time", narrow=False),
    Column("start", "workflows.start", kind="button", sort=False),
)
ARCHIVE = {"id": "archive", "title": "workflows.archive", "icon": "trash", "danger": True}


class WorkflowsState(PageState, Attempts, SessionState):
    rows: list[Json] = []
    may_draw: bool = False

    @opens("workflow.read")
    async def load(self, context: Context) -> None:
        """The workflows by name."""
        async with self:
            self.may_draw, self.problem, self.busy = may(context)["draw"], {}, False
        await _fill(self, context)

    @guarded("workflow.write")
    async def create(self, context: Context, sent: Json) -> Any:
        """Make a workflow, empty, from a template or from a file, and open it."""
        async with attempt(self):
            made = await _made(context, sent)
            return rx.redirect(f"/c/{context.client_slug}/workflows/{made}")

    @guarded("workflow.write")
    async def act(self, context: Context, action: str, ids: list[str]) -> None:
        """Do something with the selected workflows: ``archive`` them."""
        if action != ARCHIVE["id"]:
            return
        for one in ids:
            await workflows.archive(context, identifier(one, "workflow"))
        await _fill(self, context)
        await tell(self, "workflows.archived", count=len(ids))


async def _made(context: Context, sent: Json) -> str:
    """The id of what was asked for. A file names itself; it is stored as a draft, to be looked at before it is used.

    ``again``: as a new version of the workflow that has its name, unpublished.
    """
    document = sent.get("document")
    if isinstance(document, dict) and sent.get("again") is True:
        return str((await workflows.import_document(context, document=document, publish_it=False)).id)
    if isinstance(document, dict):
        return str((await workflows.create(context, name=str(document.get("name", "")), document=document)).id)
    template = next((one for one in templates() if one.id == sent.get("template")), None)
    copied = template.document_in(str(sent.get("locale"))) if template else None
    return str((await workflows.create(context, name=str(sent.get("name", "")), document=copied)).id)


async def _fill(state: WorkflowsState, context: Context) -> None:
    rows = [_row(context, as_json(flow)) for flow in await workflows.list_workflows(context)]
    async with state:
        state.rows, state.loaded = rows, True


def _row(context: Context, shown: Json) -> Json:
    started = "run.plan" in context.permissions and shown["latest_version"] is not None
    return shown | {
        "href": f"/c/{context.client_slug}/workflows/{shown['id']}",
        "standing": "published" if shown["published_version"] else "draft",
        "badge": {"colour": "amber", "key": "workflows.changed"}
        if shown["changed"] and shown["latest_version"]
        else None,
        "start": {"icon": "play", "key": "workflows.start_now", "href": f"?start={shown['id']}"} if started else None,
    }


class NewWorkflow(rx.Component):
    """See app/ui/js/workflows.jsx."""

    library = module("workflows.jsx")
    tag = "NewWorkflow"
    templates: rx.Var[list[Json]]
    problem: rx.Var[Json]
    busy: rx.Var[bool]
    on_create: rx.EventHandler[lambda sent: [sent]]


ON_LOAD = [SessionState.load_frame, WorkflowsState.load]


def _new_button() -> rx.Component:
    return link_button(t("workflows.new"), icon_name="plus", kind="primary", href="?new=1")


def page() -> rx.Component:
    mine = rx.cond(WorkflowsState.may_draw, _new_button(), rx.fragment())
    table = data_table(
        "workflows",
        COLUMNS,
        rows=WorkflowsState.rows,
        loaded=WorkflowsState.loaded,
        actions=rx.cond(WorkflowsState.may_draw, [ARCHIVE], []),
        on_action=WorkflowsState.act,
        csv="workflows",
        empty={"icon": "workflow", "title": t("workflows.empty"), "help": t("workflows.empty_help")},
        empty_action=mine,
    )
    new = NewWorkflow.create(
        templates=[one.shown() for one in templates()],
        problem=WorkflowsState.problem,
        busy=WorkflowsState.busy,
        on_create=WorkflowsState.create,
    )
    return page_frame(table, new, start_dialog(), title=t("nav.workflows"), wide=True, actions=(mine,))
