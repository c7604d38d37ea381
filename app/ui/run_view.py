"""A run and a batch as pages show them: app/ui/js/run_page.jsx, run_actions.jsx and batch_page.jsx."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.ui.js import module

Json = dict[str, Any]


class RunPage(rx.Component):
    """The content of a run's page; ``types`` has the words of step types, ``past`` the run at the moment asked for."""

    library = module("run_page.jsx")
    tag = "RunPage"
    run: rx.Var[Json]
    types: rx.Var[Json]
    may: rx.Var[dict[str, bool]]
    problem: rx.Var[Json]
    busy: rx.Var[bool]
    on_decide: rx.EventHandler[lambda answer: [answer]]
    on_answer: rx.EventHandler[lambda answer: [answer]]
    on_settle: rx.EventHandler[lambda node, outcome, output: [node, outcome, output]]
    on_retry: rx.EventHandler[lambda nodes: [nodes]]
    on_again: rx.EventHandler[lambda node, outputs: [node, outputs]]
    past: rx.Var[Json]
    on_moment: rx.EventHandler[lambda moment: [moment]]


class RunActions(rx.Component):
    """What can be done with a run or a batch, for the header."""

    library = module("run_actions.jsx")
    tag = "RunActions"
    again: rx.Var[bool]
    run: rx.Var[Json]
    may: rx.Var[dict[str, bool]]
    busy: rx.Var[bool]
    on_apply: rx.EventHandler[lambda key: [key]]
    on_undo: rx.EventHandler[lambda mode: [mode]]
    on_retry: rx.EventHandler[lambda nodes: [nodes]]
    on_cancel: rx.EventHandler[rx.event.no_args_event_spec]
    on_pause: rx.EventHandler[lambda pause: [pause]]


class BatchPage(rx.Component):
    """The content of a batch's page; ``plans`` are the rows' plans by the row's run, ``active`` what of its rows is
    looked for."""

    library = module("batch_page.jsx")
    tag = "BatchPage"
    run: rx.Var[Json]
    rows: rx.Var[list[Json]]
    plans: rx.Var[Json]
    types: rx.Var[Json]
    problem: rx.Var[Json]
    busy: rx.Var[bool]
    on_decide: rx.EventHandler[lambda answer: [answer]]
    active: rx.Var[dict[str, str]]
    has_more: rx.Var[bool]
    on_row: rx.EventHandler[lambda run: [run]]
    on_filter: rx.EventHandler[lambda active: [active]]
    on_more: rx.EventHandler[rx.event.no_args_event_spec]
