"""Waves: one workflow over many clients. The list, and the form that starts one with its plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import reflex as rx

from app.core.context import Context
from app.core.errors import Invalid, Problem
from app.services import clients, waves, workflows
from app.services.clients import ClientView
from app.services.run_views import PRIORITIES
from app.services.waves import WaveView
from app.ui.attempt import Attempts, attempt
from app.ui.frame import client_path, crumb, page_frame
from app.ui.i18n import catalogue, t
from app.ui.parts import callout, link_button, panel
from app.ui.schema_form import by_field, schema_form
from app.ui.session import PageState, SessionState, guarded, opens
from app.ui.table import Column, data_table

ROUTE = "/c/[client]/waves"
Json = dict[str, Any]

COLUMNS = (
    Column("title", "waves.workflow", kind="main"),
    Column("state", "runs.state", kind="state"),
    Column("what", "runs.kind", kind="code", prefix="run.kind_", narrow=False),
    Column("stage", "waves.stage", narrow=False, sort=False),
    Column("done", "waves.done", narrow=False, sort=False),
    Column("reason", "runs.reason", kind="reason", narrow=False),
    Column("started_by", "runs.by", narrow=False),
    Column("created_at", "runs.started", kind="time"),
)
PAUSES = ("0", "600", "3600", "86400", "manual")
DEFAULTS: Json = {
    "to": [], "tags": [], "canary": [], "percents": "10, 50", "pause": "0", "stop_at_percent": 20,
    "priority": "normal", "inputs": {},
}  # fmt: skip


class WavesState(PageState, Attempts, SessionState):
    rows: list[Json] = []
    asking: bool = False
    form: Json = {}
    errors: dict[str, list[Json]] = {}
    may_start: bool = False

    @opens("run.read")
    async def load(self, context: Context) -> None:
        """The waves that were started from here, and the form where somebody wants another."""
        asking = bool(self.router.url.query_parameters.get("new")) and "wave.start" in context.permissions
        rows = [wave_row(context, one) for one in await waves.list_waves(context)]
        form = await _schema(context) if asking else {}
        async with self:
            self.rows, self.asking, self.form = rows, asking, form
            self.problem, self.errors, self.busy = {}, {}, False
            self.may_start, self.loaded = "wave.start" in context.permissions, True

    @guarded("wave.start")
    async def start(self, context: Context, sent: Json) -> Any:
        """Start with a plan: nothing is written anywhere until somebody has seen it."""
        async with attempt(self) as tried:
            made = await waves.start(context, mode="plan", **_asked(sent))
            return rx.redirect(f"/c/{context.client_slug}/waves/{made}")
        async with self:
            self.errors = by_field(tried.problem)
        return None


def wave_row(context: Context, wave: WaveView) -> Json:
    """A wave as the list shows it."""
    found = wave.progress
    return {
        **wave.model_dump(mode="json", include={"state", "reason", "started_by", "created_at"}),
        "id": str(wave.id),
        "title": wave.workflow_name,
        "href": f"/c/{context.client_slug}/waves/{wave.id}",
        "what": "plan" if wave.mode == "plan" else "wave",
        "stage": f"{wave.begun} / {wave.stages}",
        "done": f"{found.get('over', 0)} / {found['rows']}" if found else "",
    }


def _asked(sent: Json) -> Json:
    """The form's values as the service takes them. Raises Invalid where the shares are no numbers."""
    pause = str(sent.get("pause") or "0")
    return {
        "workflow": str(sent.get("workflow") or ""),
        "inputs": dict(sent.get("inputs") or {}),
        "to": list(sent.get("to") or ()),
        "tags": list(sent.get("tags") or ()),
        "canary": list(sent.get("canary") or ()),
        "percents": _percents(str(sent.get("percents") or "")),
        "pause_s": "manual" if pause == "manual" else float(pause) if pause in PAUSES else 0.0,
        "stop_at_percent": float(sent.get("stop_at_percent") or 0),
        "priority": str(sent.get("priority") or "normal"),
    }


def _percents(words: str) -> list[float]:
    try:
        return [float(part) for part in words.replace(";", ",").split(",") if part.strip()]
    except ValueError:
        message = "Shares are numbers with commas between them, such as 10, 50."
        raise Invalid(message, problems=[Problem("bad_percent", message, field="percents")]) from None


async def _schema(context: Context) -> Json:
    """The form's fields, with this MSP's workflows and the clients of whoever asks."""
    flows = [flow.name for flow in await workflows.list_workflows(context) if flow.published_version]
    found = [one for one in await clients.clients_of(context.actor) if not one.is_msp]
    pauses = {name: _words(f"waves.pause_{name}") for name in PAUSES}
    turns = {name: _words(f"priority.{name}") for name in PRIORITIES}
    return {
        "type": "object",
        "properties": {
            "workflow": {"enum": flows, **_titled("workflow")},
            **_over(found),
            "percents": {"type": "string", **_titled("percents")},
            "pause": {"enum": list(PAUSES), "x-options": pauses, **_titled("pause")},
            "stop_at_percent": {"type": "number", "minimum": 0, "maximum": 100, **_titled("stop_at")},
            "priority": {"enum": list(turns), "x-options": turns, "x-title": _words("priority.label")},
            "inputs": {"type": "object", "x-widget": "key_values", **_titled("inputs")},
        },
        "required": ["workflow"],
    }


def _over(found: Sequence[ClientView]) -> Json:
    """The fields that choose clients: by name, by tag where clients have tags, and those that go first."""
    names = {one.slug: {"en": one.name, "fr": one.name} for one in found}
    tags = sorted({tag for one in found for tag in one.tags})
    fields: Json = {"to": {**_many(list(names)), "x-options": names, **_titled("to")}}
    if tags:
        fields["tags"] = {**_many(tags), **_titled("tags")}
    return fields | {"canary": {**_many(list(names)), "x-options": names, **_titled("canary")}}


def _many(values: list[str]) -> Json:
    return {"type": "array", "items": {"enum": values}, "x-widget": "multiselect"}


def _titled(name: str) -> Json:
    found: Json = {"x-title": _words(f"waves.{name}")}
    return found | ({"x-help": _words(f"waves.{name}_help")} if f"waves.{name}_help" in catalogue() else {})


def _words(key: str) -> Json:
    return dict(catalogue()[key])


ON_LOAD = [SessionState.load_frame, WavesState.load]


def _new_button() -> rx.Component:
    return link_button(t("waves.new"), href=client_path("/waves?new=1"), icon_name="plus", kind="primary")


def page() -> rx.Component:
    table = data_table(
        "waves",
        COLUMNS,
        rows=WavesState.rows,
        loaded=WavesState.loaded,
        empty={"icon": "layers", "title": t("waves.empty"), "help": t("waves.empty_help")},
        empty_action=rx.cond(WavesState.may_start, _new_button()),
    )
    form = panel(
        rx.cond(WavesState.problem, callout(t("waves.refused"), colour="red", icon_name="circle-alert")),
        schema_form(
            schema=WavesState.form,
            value=rx.Var.create(DEFAULTS),
            errors=WavesState.errors,
            busy=WavesState.busy,
            submit=t("waves.plan_it"),
            on_submit=WavesState.start,
        ),
        title=t("waves.new"),
    )
    new = rx.cond(WavesState.may_start & ~WavesState.asking, _new_button())
    content = rx.cond(WavesState.asking, form, table)
    return page_frame(
        content, title=t("waves.title"), crumbs=[crumb(t("nav.runs"), client_path("/runs"))], actions=(new,)
    )
