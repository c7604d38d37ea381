"""One run, live."""

from __future__ import annotations

from typing import Any

import reflex as rx
from pydantic import BaseModel, ConfigDict

from app.core.context import Context
from app.services import forms, runs
from app.ui.answers import decide
from app.ui.attempt import Attempts, attempt
from app.ui.frame import client_path, crumb, page_frame
from app.ui.i18n import t
from app.ui.rows import identifier, may, run_path
from app.ui.run_view import RunActions, RunPage
from app.ui.session import PageState, SessionState, as_json, guarded, opens, route_param, tell
from app.ui.start import start_dialog
from app.ui.steps import step_words
from app.ui.watch import while_allowed

ROUTE = "/c/[client]/runs/[run]"
Json = dict[str, Any]


class Filled(BaseModel):
    """What a form sends."""

    model_config = ConfigDict(frozen=True)

    form: str
    answer: Json


class RunPageState(PageState, Attempts, SessionState):
    shown: Json = {}
    may: dict[str, bool] = {}
    past: Json = {}

    @opens("run.read")
    async def load(self, context: Context) -> Any:
        """Show the run, and go on showing it while it changes."""
        run_id = identifier(route_param(self, "run"), "run")
        async for view in while_allowed(self, "run.read", runs.events(context, run_id)):
            if view.kind == "batch":
                return rx.redirect(run_path(context, "batch", run_id), replace=True)
            async with self:
                self.shown, self.may, self.loaded = as_json(view), may(context), True
        return None

    @guarded("approval.read")
    async def decide(self, context: Context, answer: Json) -> Any:
        """Answer the run's open question."""
        async with attempt(self):
            await decide(context, answer)
        return RunPageState.load

    @guarded("form.answer")
    async def answer(self, context: Context, sent: Json) -> Any:
        """Fill in an open form of the run."""
        async with attempt(self) as made:
            filled = Filled.model_validate(sent)
            await forms.answer(context, identifier(filled.form, "form"), answer=filled.answer)
        if not made.problem:
            await tell(self, "wait.told")
        return RunPageState.load

    @guarded("run.cancel")
    async def cancel(self, context: Context) -> None:
        """Ask the run to stop."""
        await runs.cancel(context, _here(self))
        await tell(self, "run.cancel_asked", kind="info")

    @guarded("run.start")
    async def retry(self, context: Context, nodes: list[str]) -> Any:
        """Try failed steps again."""
        await runs.retry(context, _here(self), nodes=nodes)
        return RunPageState.load

    @guarded("run.cancel")
    async def pause(self, context: Context, pause: bool) -> Any:
        """Let the run pause, or go on."""
        await (runs.pause if pause else runs.resume)(context, _here(self))
        return RunPageState.load

    @guarded("run.plan")
    async def begin_again(self, context: Context, node: str, outputs: Json) -> Any:
        """Plan a run that begins at a step and keeps what came before, with ``outputs`` in place of what steps gave."""
        started = await runs.again(context, _here(self), nodes=[node], outputs=outputs)
        return rx.redirect(run_path(context, "run", started))

    @guarded("run.read", supersedes=True)
    async def look_back(self, context: Context, moment: int) -> None:
        """The run as it was after that many of its events."""
        past = as_json(await runs.at(context, _here(self), moment))
        async with self:
            self.past = past

    @guarded("run.start")
    async def settle(self, context: Context, node: str, outcome: str, output: Any) -> None:
        """Say what became of a step whose outcome nobody knows, and perhaps what it gave."""
        await runs.settle(context, _here(self), node=node, outcome=outcome, output=output)

    @guarded("run.undo")
    async def undo(self, context: Context, mode: str) -> Any:
        """Plan or start the reverse of this run; of a plan of one, start it."""
        plan_of = self.shown.get("of") if self.shown.get("mode") == "plan" else None
        first = identifier(plan_of, "run") if plan_of else _here(self)
        chosen: Any = mode
        return rx.redirect(run_path(context, "run", await runs.undo(context, first, mode=chosen)))

    @guarded("run.start")
    async def apply(self, context: Context, key: str) -> Any:
        """Run this plan exactly as it was sealed, once for each ``key``."""
        flow, plan = identifier(self.shown["workflow_id"], "workflow"), _here(self)
        started = await runs.start(context, workflow=flow, mode="apply", plan=plan, idempotency_key=key)
        return rx.redirect(run_path(context, "run", started))


def _here(state: RunPageState) -> Any:
    return identifier(route_param(state, "run"), "run")


ON_LOAD = [SessionState.load_frame, RunPageState.load]


def page() -> rx.Component:
    shown = RunPageState.shown
    actions = RunActions.create(
        run=shown,
        may=RunPageState.may,
        busy=RunPageState.busy,
        again=True,
        on_apply=RunPageState.apply,
        on_undo=RunPageState.undo,
        on_retry=RunPageState.retry,
        on_cancel=RunPageState.cancel,
        on_pause=RunPageState.pause,
    )
    content = RunPage.create(
        run=shown,
        types=step_words(),
        may=RunPageState.may,
        problem=RunPageState.problem,
        busy=RunPageState.busy,
        on_decide=RunPageState.decide,
        on_answer=RunPageState.answer,
        on_settle=RunPageState.settle,
        on_retry=RunPageState.retry,
        on_again=RunPageState.begin_again,
        past=RunPageState.past,
        on_moment=RunPageState.look_back,
    )
    title = rx.cond(RunPageState.loaded, shown["label"].to(str) | shown["workflow_name"].to(str), t("run.title"))
    crumbs = [crumb(t("nav.runs"), client_path("/runs"))]
    return page_frame(content, start_dialog(), title=title, crumbs=crumbs, actions=(actions,))
