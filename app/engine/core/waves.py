"""Waves: one workflow over many clients, stage by stage. Who is in which stage, and when the next one may begin."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

OVER = frozenset({"succeeded", "failed", "cancelled", "not_run"})
_BAD = frozenset({"failed", "cancelled"})
Manual = Literal["manual"]


@dataclass(frozen=True)
class Rules:
    """How a wave goes on.

    ``pause_s`` is the time between the end of a stage and the next one, in seconds; ``manual``: a person lets each
    stage begin. ``stop_at_percent``: the wave stops once more than this share of the runs that ended have failed; a
    failure in the first stage stops it in any case. ``canary``: somebody has said who goes first; where none of them
    could be run, the wave stops as well, as nothing has been tried.
    """

    pause_s: float | Manual = 0.0
    stop_at_percent: float = 20.0
    canary: bool = False


@dataclass(frozen=True)
class Standing:
    """Where a wave is. ``stages`` holds the state of each client's run, stage by stage; ``begun`` how many stages were
    let go; ``stage_over_at`` when the last of those ended; ``accepted`` the failures that a person has seen and gone on
    from; ``released`` the number of stages that a person let begin; ``stopped`` and ``paused`` what stands until a
    person lets the wave go on: too many failures, and somebody's wish; ``untried``: a person has seen that the first
    stage tried nothing, and gone on."""

    stages: tuple[tuple[str, ...], ...]
    begun: int
    stage_over_at: datetime | None = None
    accepted: int = 0
    released: int = 1
    stopped: bool = False
    paused: bool = False
    untried: bool = False


@dataclass(frozen=True)
class Move:
    """What to do: ``begin`` the next stage, ``look`` again later, ``wait`` for ``seconds``, ``ask`` a person to let the
    next stage begin, ``stop`` or ``pause`` until a person says that it goes on, or ``end``."""

    kind: Literal["begin", "look", "wait", "ask", "stop", "pause", "end"]
    seconds: float = 0.0
    failed: int = 0


def stages_of(clients: Sequence[str], canary: Sequence[str], percents: Sequence[float]) -> list[list[str]]:
    """The clients in their stages: the canary list first, then up to each share of all of them, at last everybody."""
    first = [client for client in clients if client in set(canary)]
    rest = [client for client in clients if client not in set(canary)]
    stages, taken = ([first] if first else []), len(first)
    for percent in [*percents, 100.0]:
        upto = math.ceil(len(clients) * percent / 100)
        stage = rest[taken - len(first) : max(upto - len(first), 0)]
        if stage:
            stages.append(stage)
            taken += len(stage)
    return stages


def next_move(rules: Rules, now: Standing, at: datetime) -> Move:
    """What a wave does next.

    A stop holds whatever the counts become: runs that end well afterwards do not make the failures unseen. A wave with
    nothing left to begin ends all the same, as there is nothing that a person could hold or let go.
    """
    states = [state for stage in now.stages[: now.begun] for state in stage]
    counts = Counter(states)
    failed = sum(counts[state] for state in _BAD)
    over = all(state in OVER for state in states)
    if over and now.begun == len(now.stages):
        return Move("end", failed=failed)
    if now.stopped or _stops(rules, now, failed, counts):
        return Move("stop", failed=failed)
    if now.paused:
        return Move("pause")
    if not over:
        return Move("look")
    if now.begun == 0:
        return Move("begin")
    if _tried_nothing(rules, now):
        return Move("stop")
    if rules.pause_s == "manual":
        return Move("begin") if now.released > now.begun else Move("ask", failed=failed)
    since = (at - now.stage_over_at).total_seconds() if now.stage_over_at else 0.0
    left = float(rules.pause_s) - since
    return Move("wait", seconds=left) if left > 0 else Move("begin")


def _tried_nothing(rules: Rules, now: Standing) -> bool:
    """Whether the canary is over without a single run, and others would be the first to be run."""
    others = any(state not in OVER for stage in now.stages[1:] for state in stage)
    nobody = all(state == "not_run" for state in now.stages[0])
    return rules.canary and now.begun == 1 and nobody and others and not now.untried


def _stops(rules: Rules, now: Standing, failed: int, counts: Counter[str]) -> bool:
    fresh = failed - now.accepted
    if fresh <= 0:
        return False
    if now.begun == 1 and len(now.stages) > 1:
        return True
    ended = failed + counts["succeeded"]
    return fresh / max(1, ended - now.accepted) * 100 > rules.stop_at_percent
