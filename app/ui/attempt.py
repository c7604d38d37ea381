"""What a page asks for and waits for: that it is under way, and why it was refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import reflex as rx

from app.core.errors import OpsloomError

Json = dict[str, Any]


class Attempts(rx.State, mixin=True):
    """Mixed into the state of a page that sends something. ``problem`` is why the last was refused, as problem+json."""

    busy: bool = False
    problem: Json = {}


@dataclass
class Attempt:
    """How it ended: ``problem`` is empty, or the refusal of ``status``."""

    problem: Json = field(default_factory=dict)
    status: int = 0


@asynccontextmanager
async def attempt(state: Attempts) -> AsyncIterator[Attempt]:
    """The page is busy during the block. A refusal ends the block and is shown beside what was sent."""
    async with state:
        state.busy, state.problem = True, {}
    made = Attempt()
    try:
        yield made
    except OpsloomError as error:
        made.problem, made.status = error.as_problem(), error.status
    finally:
        async with state:
            state.busy, state.problem = False, made.problem
