"""Follows a run and tells the canvas what became of each step, while somebody looks."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING
from uuid import UUID

from app.builder import views
from app.builder.post import post
from app.core.context import Context
from app.services import runs

if TYPE_CHECKING:
    from app.builder.state import BuilderState

# Afterwards the browser is asked whether somebody still looks; their rights are checked again then.
WATCH_S = 60.0


async def follow(state: BuilderState, ctx: Context, run_id: UUID, **known: object) -> None:
    """Send the run as it is and as it goes on, until it is over, another is followed, or the time is up.

    ``known`` is said of the run beside what it says of itself (the revision it was started from).
    """
    name = str(run_id)
    async with state:
        state._followed = name
    before: runs.RunView | None = None
    try:
        async with asyncio.timeout(WATCH_S), aclosing(runs.events(ctx, run_id)) as seen:
            async for view in seen:
                if state._followed != name:
                    return
                kind = "run_progress" if before else "run"
                extra = {} if before else known
                await post(
                    state, {"kind": kind, "run": {**views.run(view), **extra}, "steps": views.steps(before, view)}
                )
                before = view
    except TimeoutError:
        await post(state, {"kind": "watch_ended", "id": name})
