"""Who is in which stage of a wave, and when the next one may begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.engine.core.waves import Move, Rules, Standing, next_move, stages_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TEN = [f"c{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("clients", "canary", "percents", "sizes"),
    [
        (TEN, ["c3"], [10, 50], [1, 4, 5]),
        (TEN, [], [10, 50, 100], [1, 4, 5]),
        (TEN, ["c1", "c2"], [10], [2, 8]),
        (TEN, [], [], [10]),
        (["a"], ["a"], [10, 50], [1]),
        (TEN, TEN, [50], [10]),
        (["a", "b", "c"], [], [10], [1, 2]),
    ],
)
def test_everybody_is_in_one_stage(clients, canary, percents, sizes):
    stages = stages_of(clients, canary, percents)
    assert [len(stage) for stage in stages] == sizes
    assert sorted(client for stage in stages for client in stage) == sorted(clients)
    if canary:
        assert set(stages[0]) == set(canary)


def standing(*stages: str, begun: int, **more) -> Standing:
    """Stages as letters: s succeeded, f failed, r running, w waiting, n not run, . not begun."""
    words = {"s": "succeeded", "f": "failed", "r": "running", "w": "waiting", "n": "not_run", ".": "waiting"}
    return Standing(tuple(tuple(words[letter] for letter in stage) for stage in stages), begun, **more)


CASES = [
    ("the first stage begins at once", Rules(), standing(".", "...", begun=0), Move("begin")),
    ("a run that goes on is waited for", Rules(), standing("r", "...", begun=1), Move("look")),
    ("one that waits for a person too", Rules(), standing("w", "...", begun=1), Move("look")),
    ("then the next stage", Rules(), standing("s", "...", begun=1), Move("begin")),
    ("who cannot be run holds up nobody", Rules(), standing("n", "...", begun=1), Move("begin")),
    ("all stages over: the end", Rules(), standing("s", "ss", begun=2), Move("end")),
    ("a canary's failure stops", Rules(), standing("f", "...", begun=1), Move("stop", failed=1)),
    ("while others of it still run", Rules(), standing("fr", "...", begun=1), Move("stop", failed=1)),
    ("a wave of one stage goes by the share", Rules(), standing("fsssssssss", begun=1), Move("end", failed=1)),
    ("few failures are borne", Rules(), standing("s", "sssf", "..", begun=2), Move("begin")),
    ("many are not", Rules(stop_at_percent=10), standing("s", "sssf", "..", begun=2), Move("stop", failed=1)),
    ("what a person accepted counts no more", Rules(), standing("f", "...", begun=1, accepted=1), Move("begin")),
    (
        "a new failure does",
        Rules(),
        standing("f", "fss", "..", begun=2, accepted=1),
        Move("stop", failed=2),
    ),
    (
        "a pause is waited out",
        Rules(pause_s=60),
        standing("s", ".", begun=1, stage_over_at=NOW - timedelta(seconds=20)),
        Move("wait", seconds=40),
    ),
    (
        "and then is over",
        Rules(pause_s=60),
        standing("s", ".", begun=1, stage_over_at=NOW - timedelta(seconds=60)),
        Move("begin"),
    ),
    ("a person lets it go on", Rules(pause_s="manual"), standing("s", ".", begun=1), Move("ask")),
    ("and did", Rules(pause_s="manual"), standing("s", ".", begun=1, released=2), Move("begin")),
]


@pytest.mark.parametrize(("rules", "now", "move"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_next_move(rules, now, move):
    assert next_move(rules, now, NOW) == move
