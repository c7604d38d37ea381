"""What starts runs by itself in a client: the list, each one's history, and what the watches see."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.core.context import Context
from app.services import triggers, workflows
from app.services.triggers import TriggerView
from app.ui.frame import page_frame
from app.ui.i18n import t
from app.ui.js import module
from app.ui.parts import link_button
from app.ui.rows import identifier, run_path
from app.ui.session import PageState, SessionState, as_json, guarded, opens, tell
from app.ui.table import Column, data_table
from app.ui.watch import allowed, while_open

ROUTE = "/c/[client]/triggers"
LOOK_AGAIN_AFTER_S = 10.0
MOST_FIRINGS = 20
_ICONS = {"schedule": "calendar", "webhook": "webhook", "event": "zap"}
Json = dict[str, Any]

COLUMNS = (
    Column("name", "triggers.name", kind="main"),
    Column("state", "triggers.state", kind="state"),
    Column("kind", "triggers.kind", kind="code", prefix="triggers.kind_", narrow=False),
    Column("workflow_name", "triggers.workflow", narrow=False),
    Column("mode", "triggers.mode", kind="code", prefix="triggers.mode_", narrow=False),
    Column("coming", "triggers.next", kind="time", narrow=False),
    Column("fired", "triggers.last", kind="time", narrow=False),
    Column("came", "triggers.came", kind="state", narrow=False),
)


class TriggersState(PageState, SessionState):
    rows: list[Json] = []
    flows: list[Json] = []
    to_fill: Json = {}
    history: Json = {}
    may_write: bool = False

    @opens("workflow.read")
    async def load(self, context: Context) -> None:
        """The triggers, kept up to date while the page is open."""
        flows = [_flow(flow) for flow in await workflows.list_workflows(context) if flow.published_version]
        async with self:
            self.flows, self.may_write = flows, "trigger.write" in context.permissions
        async for reader in while_open(self, allowed("workflow.read"), LOOK_AGAIN_AFTER_S):
            await _fill(self, reader)

    @guarded("run.read", supersedes=True)
    async def look(self, context: Context, trigger: str) -> None:
        """What came of a trigger's last firings."""
        found = await triggers.firings(context, identifier(trigger, "trigger"), limit=MOST_FIRINGS)
        shown = [as_json(one) | {"href": run_path(context, "run", one.run) if one.run else ""} for one in found]
        async with self:
            self.history = {"id": trigger, "firings": shown}

    @guarded("workflow.read", supersedes=True)
    async def choose(self, context: Context, workflow: str) -> None:
        """The inputs of a workflow that a new trigger is to start."""
        flow = await workflows.get(context, identifier(workflow, "workflow"))
        number = flow.published_version
        document = (await workflows.version(context, flow.id, number)).document if number else flow.draft
        inputs = (document or {}).get("inputs") or {"type": "object", "properties": {}}
        async with self:
            self.to_fill = {"id": workflow, "inputs": inputs}

    @guarded("trigger.write")
    async def turn(self, context: Context, trigger: str, on: bool) -> None:
        """Switch it on, in the name of whoever does so, or off."""
        await triggers.switch(context, identifier(trigger, "trigger"), on=on)
        await _fill(self, context)

    @guarded("trigger.write")
    async def fire(self, context: Context, trigger: str) -> Any:
        """Fire a schedule now, and go to the run."""
        found = await triggers.fire_now(context, identifier(trigger, "trigger"))
        await _fill(self, context)
        if found.run:
            return rx.redirect(run_path(context, "run", found.run))
        await tell(self, "triggers.not_started")
        return None

    @guarded("trigger.write")
    async def remove(self, context: Context, trigger: str) -> None:
        """Take it away; its history stays."""
        await triggers.remove(context, identifier(trigger, "trigger"))
        await _fill(self, context)
        await tell(self, "triggers.removed")

    @guarded("workflow.read", supersedes=True)
    async def again(self, context: Context) -> None:
        """Read the list anew: the browser has added something."""
        await _fill(self, context)


async def _fill(state: TriggersState, context: Context) -> None:
    rows = [_row(one) for one in await triggers.list_triggers(context)]
    async with state:
        state.rows, state.loaded = rows, True


def _row(one: TriggerView) -> Json:
    shown = as_json(one)
    return shown | {
        "href": f"?open={one.id}",
        "icon": _ICONS[one.kind],
        "coming": shown["next"][0] if shown["next"] else None,
        "fired": (shown["last_firing"] or {}).get("at"),
        "came": (shown["last_firing"] or {}).get("outcome"),
    }


def _flow(flow: Any) -> Json:
    return {"id": str(flow.id), "name": flow.name}


class TriggerDialog(rx.Component):
    """See app/ui/js/triggers.jsx."""

    library = module("triggers.jsx")
    tag = "TriggerDialog"
    triggers: rx.Var[list[Json]]
    history: rx.Var[Json]
    may_write: rx.Var[bool]
    on_look: rx.EventHandler[lambda trigger: [trigger]]
    on_turn: rx.EventHandler[lambda trigger, on: [trigger, on]]
    on_fire: rx.EventHandler[lambda trigger: [trigger]]
    on_remove: rx.EventHandler[lambda trigger: [trigger]]


class AddTrigger(rx.Component):
    """See app/ui/js/trigger_form.jsx."""

    library = module("trigger_form.jsx")
    tag = "AddTrigger"
    triggers: rx.Var[list[Json]]
    workflows: rx.Var[list[Json]]
    to_fill: rx.Var[Json]
    on_choose: rx.EventHandler[lambda workflow: [workflow]]
    on_added: rx.EventHandler[rx.event.no_args_event_spec]


ON_LOAD = [SessionState.load_frame, TriggersState.load]


def _add_button() -> rx.Component:
    return link_button(t("triggers.add"), icon_name="plus", kind="primary", href="?add=1")


def page() -> rx.Component:
    table = data_table(
        "triggers",
        COLUMNS,
        rows=TriggersState.rows,
        loaded=TriggersState.loaded,
        empty={"icon": "calendar", "title": t("triggers.empty"), "help": t("triggers.empty_help")},
        empty_action=rx.cond(TriggersState.may_write, _add_button(), rx.fragment()),
    )
    one = TriggerDialog.create(
        triggers=TriggersState.rows,
        history=TriggersState.history,
        may_write=TriggersState.may_write,
        on_look=TriggersState.look,
        on_turn=TriggersState.turn,
        on_fire=TriggersState.fire,
        on_remove=TriggersState.remove,
    )
    add = AddTrigger.create(
        triggers=TriggersState.rows,
        workflows=TriggersState.flows,
        to_fill=TriggersState.to_fill,
        on_choose=TriggersState.choose,
        on_added=TriggersState.again,
    )
    actions = (rx.cond(TriggersState.may_write, _add_button(), rx.fragment()),)
    return page_frame(table, one, add, title=t("nav.triggers"), actions=actions)
