"""Settings of a step that could do nothing where they stand.

A draft with one is refused: whoever set it counts on it. Versions that were stored before a rule came run on as they
did, so there it is a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from app.core.errors import Problem
from app.engine.core.catalogue import StepInfo
from app.engine.core.document import Node

_IDLE = frozenset({"retry_without_effect", "timeout_without_effect", "remind_without_deadline"})


def idle_problems(node: Node, info: StepInfo) -> Iterator[Problem]:
    """A problem for each setting of ``node`` that has no effect on a step of its type; each names its field."""
    params = {"step": node.id}
    if node.retry is not None and node.retry.attempts > 1 and not info.is_tried:
        message = f"{node.id} is not tried again as a whole. Set tries on the steps that can fail."
        yield Problem("retry_without_effect", message, field="retry", node=node.id, params=params)
    if node.timeout_s is not None and not info.is_tried:
        message = f"{node.id} is no call that a time limit could cut off. Set it on the steps that call a platform."
        yield Problem("timeout_without_effect", message, field="timeout_s", node=node.id, params=params)
    if info.asks_people and node.params.get("remind_hours") is not None and node.params.get("deadline_hours") is None:
        message = "A reminder comes before a deadline, and there is none. Set the hours to answer."
        yield Problem("remind_without_deadline", message, field="params.remind_hours", node=node.id)


def as_stored(problems: Iterable[Problem]) -> list[Problem]:
    """The problems of what is stored already: a setting without effect keeps nothing from running."""
    return [replace(one, severity="warning") if one.code in _IDLE else one for one in problems]
