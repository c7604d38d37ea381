"""One batch: many rows, one plan, one seal, one approval."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import reflex as rx

from app.core.context import Context
from app.core.run_states import OVER
from app.services import runs
from app.services.run_views import RunView
from app.ui.answers import decide
from app.ui.attempt import Attempts, attempt
from app.ui.frame import client_path, crumb, page_frame
from app.ui.i18n import t
from app.ui.rows import identifier, may, run_path, run_row
from app.ui.run_filters import asked, query
from app.ui.run_view import BatchPage, RunActions
from app.ui.session import PageState, SessionState, as_json, guarded, opens, route_param, tell
from app.ui.steps import step_words
from app.ui.watch import allowed, while_open

ROUTE = "/c/[client]/batches/[batch]"
LOOK_AGAIN_AFTER_S = 1.0
PAGE = 100
FILTERS = ("state", "search")

Json = dict[str, Any]


class BatchState(PageState, Attempts, SessionState):
    shown: Json = {}
    rows: list[Json] = []
    active: dict[str, str] = {}
    has_more: bool = False
    _most: int = PAGE
    plans: dict[str, Json] = {}
    may: dict[str, bool] = {}

    @opens("run.read")
    async def load(self, context: Context) -> Any:
        """Show the batch and its rows, and go on while it goes on."""
        batch_id = _here(self)
        async with self:
            self.active, self._most = asked(self.router.url.query_parameters, FILTERS), PAGE
        async for reader in while_open(self, allowed("run.read"), LOOK_AGAIN_AFTER_S):
            view = await runs.get(reader, batch_id, rows=False)
            if view.kind != "batch":
                return rx.redirect(run_path(reader, "run", batch_id), replace=True)
            await _show(self, reader, view)
            if view.state in OVER:
                break
        return None

    @guarded("run.read", supersedes=True)
    async def look_for(self, context: Context, active: dict[str, str]) -> None:
        """Show the rows in a state, or with some words in what they are about."""
        async with self:
            self.active, self._most = asked(active, FILTERS), PAGE
        await _show_rows(self, context, _here(self))

    @guarded("run.read")
    async def more(self, context: Context) -> None:
        """Show another page of rows."""
        async with self:
            self._most = len(self.rows) + PAGE
        await _show_rows(self, context, _here(self))

    @guarded("run.read")
    async def open_row(self, context: Context, run: str) -> None:
        """The plan of one row, as it was made or done."""
        view = await runs.get(context, identifier(run, "run"))
        shown = as_json(view)
        steps = shown["plan"] or [step for step in shown["steps"] if step["change"] or step["error"]]
        async with self:
            self.plans = {**self.plans, run: {"steps": steps, "differences": shown["differences"]}}

    @guarded("approval.read")
    async def decide(self, context: Context, answer: Json) -> None:
        """Answer the batch's one question."""
        async with attempt(self):
            await decide(context, answer)
        await _show(self, context, await runs.get(context, _here(self), rows=False))

    @guarded("run.cancel")
    async def cancel(self, context: Context) -> None:
        """Ask every row to stop."""
        await runs.cancel(context, _here(self))
        await tell(self, "run.cancel_asked", kind="info")

    @guarded("run.cancel")
    async def pause(self, context: Context, pause: bool) -> None:
        """Let every row pause, or go on."""
        await (runs.pause if pause else runs.resume)(context, _here(self))
        await _show(self, context, await runs.get(context, _here(self), rows=False))

    @guarded("run.undo")
    async def undo(self, context: Context, mode: str) -> Any:
        """Plan or start the reverse of every row that changed something; of a plan of that, start it."""
        plan_of = self.shown.get("of") if self.shown.get("mode") == "plan" else None
        first = identifier(plan_of, "run") if plan_of else _here(self)
        chosen: Any = mode
        return rx.redirect(run_path(context, "batch", await runs.undo(context, first, mode=chosen)))

    @guarded("run.start")
    async def apply(self, context: Context, key: str) -> Any:
        """Start the planned rows as one batch, once for each ``key``; what was held back stays held back."""
        started = await runs.start_planned_batch(context, _here(self), idempotency_key=key)
        return rx.redirect(run_path(context, "batch", started))


async def _show(state: BatchState, context: Context, view: RunView) -> None:
    """Put into the page what has changed of the batch and of its rows."""
    shown = view.model_dump(mode="json", exclude={"plan", "runs", "document", "steps"})
    async with state:
        state.may, state.loaded = may(context), True
        if shown != state.shown:
            state.shown = shown
    await _show_rows(state, context, view.id)


async def _show_rows(state: BatchState, context: Context, batch_id: UUID) -> None:
    """Put into the page the rows that are looked for. Their plans are left out: each is asked for when it is opened."""
    active, most = dict(state.active), state._most
    wanted = query(active)
    found = await runs.rows_of(context, batch_id, state=wanted["state"], search=wanted["search"], limit=most + 1)
    rows = [run_row(context, row) for row in found[:most]]
    async with state:
        # Something else may have been looked for, or more of it, while this was asked for.
        if (state.active, state._most) != (active, most):
            return
        if rows != state.rows:
            state.rows = rows
        state.has_more = len(found) > most


def _here(state: BatchState) -> UUID:
    return identifier(route_param(state, "batch"), "run")


ON_LOAD = [SessionState.load_frame, BatchState.load]


def page() -> rx.Component:
    shown = BatchState.shown
    actions = RunActions.create(
        run=shown,
        may=BatchState.may,
        busy=BatchState.busy,
        on_apply=BatchState.apply,
        on_undo=BatchState.undo,
        on_cancel=BatchState.cancel,
        on_pause=BatchState.pause,
    )
    content = BatchPage.create(
        run=shown,
        rows=BatchState.rows,
        active=BatchState.active,
        has_more=BatchState.has_more,
        plans=BatchState.plans,
        types=step_words(),
        problem=BatchState.problem,
        busy=BatchState.busy,
        on_decide=BatchState.decide,
        on_row=BatchState.open_row,
        on_filter=BatchState.look_for,
        on_more=BatchState.more,
    )
    title = rx.cond(BatchState.loaded, shown["label"].to(str), t("batch.title"))
    crumbs = [crumb(t("nav.runs"), client_path("/runs"))]
    return page_frame(content, title=title, crumbs=crumbs, actions=(actions,))
