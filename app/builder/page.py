"""The page of the workflow builder, ``/c/[client]/workflows/[workflow]``."""

from __future__ import annotations

import reflex as rx

from app.builder.canvas import Builder, step_icons
from app.builder.state import BuilderState
from app.ui.frame import page_frame
from app.ui.session import SessionState

ROUTE = "/c/[client]/workflows/[workflow]"
ON_LOAD = [SessionState.load_frame, BuilderState.open]


def page() -> rx.Component:
    """Sidebar and the builder, which has a header of its own."""
    return page_frame(
        Builder.create(
            inbox=BuilderState.inbox,
            icons=step_icons(),
            on_received=BuilderState.received,
            on_push=BuilderState.push,
            on_choices=BuilderState.choices,
            on_save_version=BuilderState.save_version,
            on_publish=BuilderState.publish,
            on_versions=BuilderState.list_versions,
            on_version=BuilderState.show_version,
            on_start=BuilderState.start,
            on_watch=BuilderState.watch,
            on_cancel=BuilderState.cancel,
        ),
        title=None,
        bare=True,
    )
