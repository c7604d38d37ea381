"""The approval inbox."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.core.context import Context
from app.services import approvals, forms, runs
from app.services.run_views import ApprovalView, RunView
from app.ui.answers import decide
from app.ui.attempt import Attempts, attempt
from app.ui.frame import page_frame
from app.ui.i18n import t
from app.ui.js import module
from app.ui.rows import identifier, run_row
from app.ui.session import PageState, SessionState, as_json, guarded, opens, tell
from app.ui.steps import step_words
from app.ui.watch import allowed, while_open

ROUTE = "/c/[client]/approvals"
LOOK_AGAIN_AFTER_S = 5.0
MOST_STEPS, MOST_ROWS = 200, 100
Json = dict[str, Any]


class ApprovalsState(PageState, Attempts, SessionState):
    rows: list[Json] = []
    forms: list[Json] = []
    chosen: str = ""
    seen: Json = {}

    @opens("approval.read")
    async def load(self, context: Context) -> None:
        """What waits, those that the reader may answer first; the one that the address names is opened."""
        found = await _waiting(context)
        asked = self.router.url.query_parameters.get("id", "")
        first = next((one for one in found if str(one.id) == (asked or self.chosen)), None)
        asked_of = await _forms_for(context)
        async with self:
            self.rows, self.forms = [as_json(one) for one in found], asked_of
            self.loaded = True
            self.chosen = str(first.id) if first else ""
        if first:
            await _see(self, context, first)
        await _keep_up(self)

    @guarded("approval.read", supersedes=True)
    async def choose(self, context: Context, approval: str) -> None:
        """Open one, with the plan behind it."""
        async with self:
            self.chosen, self.problem = approval, {}
        if approval:
            await _see(self, context, await approvals.get(context, identifier(approval, "approval")))

    @guarded("approval.read")
    async def decide(self, context: Context, answer: Json) -> Any:
        """Record the answer for exactly what was seen."""
        async with attempt(self) as made:
            view = await decide(context, answer)
        if made.problem:
            return [ApprovalsState.load] if made.status == 409 else None
        async with self:
            self.chosen, self.seen = "", {}
            self.rows = [row for row in self.rows if row["id"] != answer.get("approval")]
        await tell(self, f"approval.told_{answer['decision']}", name=view.title or view.workflow_name)
        return [ApprovalsState.load, SessionState.load_frame]


async def _keep_up(state: ApprovalsState) -> None:
    """Show what is asked or answered meanwhile, for as long as the page is open and the reader may see it."""
    async for reader in while_open(state, allowed("approval.read"), LOOK_AGAIN_AFTER_S):
        rows, asked_of = await _waiting(reader), await _forms_for(reader)
        async with state:
            state.rows, state.forms = [as_json(one) for one in rows], asked_of
            # The sidebar counts every quarter of a minute by itself; beside this list it must not lag behind.
            state.counts = {"approvals": sum(one.may_decide for one in rows) + len(asked_of)}
            chosen = next((one for one in rows if str(one.id) == state.chosen), None)
        # A run may go on beside its question: what it has done meanwhile is marked so.
        if chosen:
            await _see(state, reader, chosen)


async def _waiting(context: Context) -> list[ApprovalView]:
    return sorted(await approvals.list_approvals(context), key=lambda one: not one.may_decide)


async def _forms_for(context: Context) -> list[Json]:
    """The open forms that the reader may fill in; they are filled in on the page of their run."""
    if "form.read" not in context.permissions:
        return []
    return [as_json(one) for one in await forms.list_forms(context) if one.may_answer]


async def _see(state: ApprovalsState, context: Context, approval: ApprovalView) -> None:
    """Put the plan under ``seal`` into the page: of a batch its rows, of a question inside a run what it is about."""
    run = await runs.get(context, approval.run_id, rows=False)
    shown = as_json(run)
    seen = {
        "approval": str(approval.id),
        "steps": shown["plan"],
        "differences": shown["differences"],
        "done": [step["node"] for step in shown["steps"] if step["state"] == "succeeded"],
        "rows": [],
    }
    if run.kind == "batch":
        seen |= await _table(context, run)
    async with state:
        # Somebody may have opened another one while this was asked for.
        if state.chosen == seen["approval"] and state.seen != seen:
            state.seen = seen


async def _table(context: Context, batch: RunView) -> Json:
    """What the rows of a batch that were not refused would change, from what cannot be undone on, and the first of
    these rows. The batch's own page has all of it."""
    steps = await runs.row_steps(context, batch.id, MOST_STEPS)
    going = [state for state in batch.row_states if state != "failed"]
    rows = await runs.rows_of(context, batch.id, state=going, limit=MOST_ROWS) if going else []
    changes = sum(batch.summary.get(name, 0) for name in ("add", "change", "remove", "unknown"))
    left_out = changes > len(steps) or sum(batch.row_states[state] for state in going) > len(rows)
    return {"steps": steps, "rows": [run_row(context, row) for row in rows], "left_out": left_out}


class FormList(rx.Component):
    """See app/ui/js/inbox.jsx."""

    library = module("inbox.jsx")
    tag = "FormList"
    forms: rx.Var[list[Json]]


class Inbox(rx.Component):
    """See app/ui/js/inbox.jsx."""

    library = module("inbox.jsx")
    tag = "Inbox"
    approvals: rx.Var[list[Json]]
    chosen: rx.Var[str]
    seen: rx.Var[Json]
    types: rx.Var[Json]
    loaded: rx.Var[bool]
    problem: rx.Var[Json]
    busy: rx.Var[bool]
    on_choose: rx.EventHandler[lambda approval: [approval]]
    on_decide: rx.EventHandler[lambda answer: [answer]]


ON_LOAD = [SessionState.load_frame, ApprovalsState.load]


def page() -> rx.Component:
    inbox = Inbox.create(
        approvals=ApprovalsState.rows,
        chosen=ApprovalsState.chosen,
        seen=ApprovalsState.seen,
        types=step_words(),
        loaded=ApprovalsState.loaded,
        problem=ApprovalsState.problem,
        busy=ApprovalsState.busy,
        on_choose=ApprovalsState.choose,
        on_decide=ApprovalsState.decide,
    )
    return page_frame(FormList.create(forms=ApprovalsState.forms), inbox, title=t("nav.approvals"), wide=True)
