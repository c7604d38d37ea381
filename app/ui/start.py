"""Starting a workflow from any page: the dialog and its state."""

from __future__ import annotations

from typing import Any

import reflex as rx
from pydantic import BaseModel, ConfigDict

from app.core.context import Context
from app.core.errors import OpsloomError
from app.services import runs, workflows
from app.services.inputs import read_table
from app.services.starts import label_of
from app.ui.attempt import Attempts, attempt
from app.ui.js import module
from app.ui.rows import identifier, may, run_path
from app.ui.session import SessionState, guarded

Json = dict[str, Any]


class _Start(BaseModel):
    """What the dialog sends. ``table`` is the text of a CSV file, ``key`` the same for every click on one start."""

    model_config = ConfigDict(frozen=True)

    workflow: str
    version: int | None = None
    inputs: Json = {}
    table: str = ""
    name: str = ""
    mode: str = "plan"
    priority: str = "normal"
    skip_invalid: bool = False
    key: str | None = None


class StartState(Attempts, SessionState):
    """The workflow that is to be started, and how its table was checked."""

    to_start: Json = {}
    checked: Json = {}
    start_may: dict[str, bool] = {}

    @guarded("run.plan")
    async def open_start(self, context: Context, workflow_id: str, like: str) -> None:
        """What the dialog needs of a workflow; filled with the inputs of the run ``like``, where one is named."""
        async with self:
            self.to_start, self.checked, self.problem, self.busy = {}, {}, {}, False
        shown = await _to_start(context, workflow_id, like)
        async with self:
            self.to_start, self.start_may = shown, may(context)

    @guarded("run.plan")
    async def check_table(self, context: Context, sent: Json) -> None:
        """Say what is wrong with each row of a table."""
        asked = _Start.model_validate(sent)
        try:
            rows = read_table(asked.table.encode())
            found = await runs.check_table(
                context, workflow=identifier(asked.workflow, "workflow"), rows=rows, version=asked.version
            )
            schema = self.to_start.get("inputs", {})
            checked = {"name": asked.name, "rows": [_checked(schema, row) for row in found]}
            problem: Json = {}
        except OpsloomError as error:
            checked, problem = {"name": asked.name, "rows": []}, error.as_problem()
        async with self:
            self.checked, self.problem = checked, problem

    @guarded("run.plan")
    async def start_one(self, context: Context, sent: Json) -> Any:
        """Start one run and go to its page."""
        asked = _Start.model_validate(sent)
        return await self._started(context, _one(context, asked), "run")

    @guarded("run.plan")
    async def start_table(self, context: Context, sent: Json) -> Any:
        """Start a batch and go to its page."""
        asked = _Start.model_validate(sent)
        return await self._started(context, _batch(context, asked), "batch")

    async def _started(self, context: Context, starting: Any, kind: str) -> Any:
        async with attempt(self) as made:
            run_id = await starting
        if made.problem:
            return None
        async with self:
            self.to_start, self.checked = {}, {}
        return rx.redirect(run_path(context, kind, run_id))


async def _to_start(context: Context, workflow_id: str, like: str) -> Json:
    """The published version, or the draft's inputs where nothing is published (the start then says so)."""
    flow = await workflows.get(context, identifier(workflow_id, "workflow"))
    number = flow.published_version or flow.latest_version
    document = (await workflows.version(context, flow.id, number)).document if number else flow.draft
    return {
        "id": str(flow.id),
        "name": flow.name,
        "version": number,
        "inputs": (document or {}).get("inputs") or {"type": "object", "properties": {}},
        "from": like,
        "given": (await runs.get(context, identifier(like, "run"))).inputs if like else {},
    }


async def _one(context: Context, asked: _Start) -> Any:
    workflow = identifier(asked.workflow, "workflow")
    mode: Any = asked.mode
    return await runs.start(
        context,
        workflow=workflow,
        inputs=asked.inputs,
        mode=mode,
        version=asked.version,
        idempotency_key=asked.key,
        priority=asked.priority,
    )


async def _batch(context: Context, asked: _Start) -> Any:
    rows = read_table(asked.table.encode())
    mode: Any = asked.mode
    return await runs.start_batch(
        context,
        workflow=identifier(asked.workflow, "workflow"),
        rows=rows,
        mode=mode,
        skip_invalid=asked.skip_invalid,
        version=asked.version,
        idempotency_key=asked.key,
        priority=asked.priority,
    )


def _checked(schema: Json, row: Any) -> Json:
    return {
        "number": row.number,
        "label": label_of(schema, row.inputs),
        "problems": [problem.as_json() for problem in row.problems],
    }


class StartDialog(rx.Component):
    """See app/ui/js/start_dialog.jsx."""

    library = module("start_dialog.jsx")
    tag = "StartDialog"
    workflow: rx.Var[Json]
    checked: rx.Var[Json]
    problem: rx.Var[Json]
    busy: rx.Var[bool]
    may: rx.Var[dict[str, bool]]
    on_start: rx.EventHandler[lambda sent: [sent]]
    on_check: rx.EventHandler[lambda sent: [sent]]
    on_start_table: rx.EventHandler[lambda sent: [sent]]
    on_open: rx.EventHandler[lambda workflow, like: [workflow, like]]


def start_dialog() -> rx.Component:
    """The dialog: ``?start=<workflow>`` in the address opens it, ``&from=<run>`` fills it with that run's inputs."""
    return StartDialog.create(
        workflow=StartState.to_start,
        checked=StartState.checked,
        problem=StartState.problem,
        busy=StartState.busy,
        may=StartState.start_may,
        on_start=StartState.start_one,
        on_check=StartState.check_table,
        on_start_table=StartState.start_table,
        on_open=StartState.open_start,
    )
