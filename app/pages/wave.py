"""One wave: where it stands, and each client with what became of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import reflex as rx

from app.core.context import Context
from app.core.run_states import OVER
from app.services import wave_undos, waves
from app.services.wave_undos import UndoneTarget
from app.services.waves import WaveView
from app.ui.frame import client_path, crumb, page_frame
from app.ui.i18n import reason, t
from app.ui.js import module
from app.ui.parts import button, callout, state_badge
from app.ui.rows import identifier
from app.ui.session import PageState, SessionState, guarded, opens, route_param, tell
from app.ui.table import Column, data_table
from app.ui.watch import allowed, while_open

ROUTE = "/c/[client]/waves/[wave]"
LOOK_AGAIN_AFTER_S = 1.5
Json = dict[str, Any]
# Reasons that hold a wave until a person lets it go on.
_HOLDS = ("wave_stopped", "wave_untried", "wave_next", "wave_paused")

COLUMNS = (
    Column("name", "waves.client", kind="main"),
    Column("stage", "waves.stage", align="end", kind="number", narrow=False),
    Column("state", "runs.state", kind="state"),
    Column("steps", "waves.steps", kind="mono", narrow=False, sort=False),
    Column("summary", "runs.changes", kind="changes", narrow=False),
    Column("reason", "runs.reason", kind="reason", narrow=False),
    Column("undone", "waves.undo_column", kind="linked_state"),
)
_MARKS = {
    "succeeded": "✓",
    "failed": "✗",
    "skipped": "·",
    "running": "▸",
    "waiting": "…",
    "pending": "○",
    "unknown": "?",
}


# An undo that is done has left the client's run undone.
_UNDONE = {"succeeded": "undone"}


class WaveState(PageState, SessionState):
    rows: list[Json] = []
    stands: str = ""
    why: Json = {}
    words: Json = {}
    can_steer: bool = False
    can_apply: bool = False
    goes_on: bool = False
    held: bool = False
    can_undo: bool = False
    undone: Json = {}
    busy: bool = False
    # One visit of the page carries its plan out once, however often the button is pressed.
    _key: str = ""

    @opens("run.read")
    async def load(self, context: Context) -> None:
        """The wave and its clients, kept up to date while it goes on."""
        wave_id = _here(self)
        async with self:
            self._key = self._key if self._key.startswith(str(wave_id)) else f"{wave_id}:{uuid4().hex}"
        matrix = waves.Matrix()
        async for reader in while_open(self, allowed("run.read"), LOOK_AGAIN_AFTER_S):
            view = await waves.get(reader, wave_id, matrix=matrix)
            rows = [_target_row(target) for target in view.targets]
            async with self:
                _show(self, reader, view)
                if rows != self.rows:
                    self.rows = rows
                self.loaded = True
            if view.state in OVER and not any(_is_going(target) for target in view.targets):
                return

    @guarded("wave.start")
    async def resume(self, context: Context) -> Any:
        """Let the next stage begin, or go on in spite of failures."""
        await waves.resume(context, _here(self))
        return WaveState.load

    @guarded("wave.start")
    async def pause(self, context: Context) -> Any:
        """Let nothing further begin."""
        await waves.pause(context, _here(self))
        return WaveState.load

    @guarded("run.cancel")
    async def cancel(self, context: Context) -> Any:
        """Ask all runs to stop."""
        await waves.cancel(context, _here(self))
        await tell(self, "run.cancel_asked", kind="info")
        return WaveState.load

    @guarded("wave.start")
    async def apply(self, context: Context) -> Any:
        """Carry this plan out, with the same stages."""
        started = await waves.carry_out(context, _here(self), idempotency_key=self._key or None)
        return rx.redirect(f"/c/{context.client_slug}/waves/{started}")

    @guarded("wave.start")
    async def undo(self, context: Context, mode: str) -> Any:
        """Plan or start the undo of each client's run, and say where there is none and why."""
        async with self:
            self.busy, self.undone = True, {}
        chosen: Any = mode
        try:
            found = [_undone_row(one) for one in await wave_undos.undo(context, _here(self), mode=chosen)]
        finally:
            async with self:
                self.busy = False
        async with self:
            self.undone = {"mode": mode, "clients": found}
        return WaveState.load


def _is_going(target: waves.TargetView) -> bool:
    """Whether it is being taken back, or tried again, just now."""
    return any(state is not None and state not in OVER for state in (target.undo_state, target.now))


def _undone_row(target: UndoneTarget) -> Json:
    href = f"/c/{target.client}/runs/{target.undo or target.run or ''}".removesuffix("/runs/")
    return {"client": target.client, "name": target.name, "href": href, "reason": target.reason}


def _show(state: WaveState, context: Context, view: WaveView) -> None:
    steers = "wave.start" in context.permissions
    state.stands, state.why = view.state, view.reason or {}
    state.words = view.model_dump(include={"begun", "stages", "mode", "priority"}) | {"workflow": view.workflow_name}
    state.can_steer = steers
    state.can_apply = steers and view.mode == "plan" and view.state in OVER
    state.can_undo = steers and view.mode == "apply" and view.state in OVER
    state.goes_on = view.state not in OVER
    state.held = view.paused or (view.reason or {}).get("code") in _HOLDS


def _target_row(target: waves.TargetView) -> Json:
    shown = target.model_dump(mode="json", include={"name", "state", "summary", "reason"})
    if target.now:
        # It has been tried again since: what it failed of then is told on its own page.
        shown |= {"state": target.now, "reason": None}
    # Steps by a mark each: a row says at a glance how far the client's run came.
    marks = "".join(_MARKS.get(state, "○") for state in target.steps.values())
    href = f"/c/{target.client}/runs/{target.run}" if target.run else f"/c/{target.client}"
    undone = {
        "state": _UNDONE.get(target.undo_state or "", target.undo_state),
        "href": f"/c/{target.client}/runs/{target.undo}",
    }
    return shown | {
        "id": target.client,
        "href": href,
        "stage": target.stage + 1,
        "steps": marks,
        "undone": undone if target.undo else None,
        "undo_state": target.undo_state,
    }


def _here(state: WaveState) -> UUID:
    return identifier(route_param(state, "wave"), "wave")


class WaveUndo(rx.Component):
    """See app/ui/js/wave_undo.jsx."""

    library = module("wave_undo.jsx")
    tag = "WaveUndo"
    rows: rx.Var[list[Json]]
    busy: rx.Var[bool]
    on_undo: rx.EventHandler[lambda mode: [mode]]


class WaveUndone(rx.Component):
    """See app/ui/js/wave_undo.jsx."""

    library = module("wave_undo.jsx")
    tag = "WaveUndone"
    undone: rx.Var[Json]


ON_LOAD = [SessionState.load_frame, WaveState.load]


def _actions() -> rx.Component:
    going = WaveState.can_steer & WaveState.goes_on
    return rx.fragment(
        rx.cond(
            WaveState.can_apply, button(t("waves.apply"), icon_name="play", kind="primary", on_click=WaveState.apply)
        ),
        rx.cond(
            going & WaveState.held,
            button(t("waves.resume"), icon_name="play", kind="primary", on_click=WaveState.resume),
        ),
        rx.cond(going & ~WaveState.held, button(t("waves.pause_it"), icon_name="pause", on_click=WaveState.pause)),
        rx.cond(WaveState.can_undo, WaveUndo.create(rows=WaveState.rows, busy=WaveState.busy, on_undo=WaveState.undo)),
        rx.cond(going, button(t("waves.cancel"), icon_name="x", kind="danger", on_click=WaveState.cancel)),
    )


def page() -> rx.Component:
    table = data_table(
        "wave",
        COLUMNS,
        rows=WaveState.rows,
        loaded=WaveState.loaded,
        csv="wave",
        empty={"icon": "layers", "title": t("waves.empty"), "help": t("waves.empty_help")},
    )
    words = WaveState.words
    where = rx.el.p(
        state_badge(state=WaveState.stands),
        " ",
        t("waves.where", begun=words["begun"], stages=words["stages"]),
        rx.cond(words["priority"] == "high", rx.el.span(", ", t("priority.high_tag"))),
        rx.cond(words["priority"] == "low", rx.el.span(", ", t("priority.low_tag"))),
        class_name="os-muted",
    )
    why = rx.cond(WaveState.why, callout(reason(WaveState.why)))
    title = rx.cond(WaveState.loaded, words["workflow"].to(str), t("waves.title"))
    crumbs = [crumb(t("nav.runs"), client_path("/runs")), crumb(t("waves.title"), client_path("/waves"))]
    undone = WaveUndone.create(undone=WaveState.undone)
    return page_frame(where, why, undone, table, title=title, wide=True, crumbs=crumbs, actions=(_actions(),))
