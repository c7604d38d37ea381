"""A plan as people read it: app/ui/js/plan.jsx."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.ui.js import module


class PlanView(rx.Component):
    """``steps`` are planned steps (:class:`app.engine.core.planned.PlannedStep` as JSON), ``counts`` their summary,
    ``differences`` how they depart from what was sealed before. The first ``opened`` changes are open."""

    library = module("plan.jsx")
    tag = "PlanView"
    steps: rx.Var[list[dict[str, Any]]]
    counts: rx.Var[dict[str, int]]
    differences: rx.Var[list[dict[str, Any]]]
    seal: rx.Var[str]
    types: rx.Var[dict[str, Any]]
    opened: rx.Var[int]


plan_view = PlanView.create
