"""What is wrapped around every page: what stands in its place when rendering it fails."""

from __future__ import annotations

from collections.abc import Callable

import reflex as rx

from app.ui.js import module


class Boundary(rx.Component):
    """Shows a page that says what to do when the page inside ran into an error."""

    library = module("boundary.jsx")
    tag = "Boundary"


def app_wraps() -> dict[tuple[int, str], Callable[[bool], rx.Component | None]]:
    """In place of Reflex's own, which speak English only."""
    return {(55, "Boundary"): lambda stateful: Boundary.create()}
