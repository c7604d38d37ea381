"""Who is in which stage of a wave, and when the next one may begin."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.core.waves import OVER, Move, Rules, Standing, next_move, stages_of

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
    ("but for a canary", Rules(canary=True), standing("n", "...", begun=1), Move("stop")),
    ("of which a part is enough", Rules(canary=True), standing("ns", "...", begun=1), Move("begin")),
    ("until a person goes on", Rules(canary=True), standing("n", "...", begun=1, untried=True), Move("begin")),
    ("or nobody else is to be run", Rules(canary=True), standing("n", "nn", "n", begun=1), Move("begin")),
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
    (
        "a stop stands, however well the others end",
        Rules(),
        standing("s", "fsssssssss", "..", begun=2, stopped=True),
        Move("stop", failed=1),
    ),
    ("a pause holds the next stage", Rules(), standing("s", "...", begun=1, paused=True), Move("pause")),
    ("and the first", Rules(), standing(".", "...", begun=0, paused=True), Move("pause")),
    ("and the rest of a stage that is under way", Rules(), standing("sr", ".", begun=1, paused=True), Move("pause")),
    (
        "failures are told in a pause too",
        Rules(),
        standing("f", ".", begun=1, paused=True),
        Move("stop", 0, 1),
    ),
    ("failures of the last stage end it", Rules(), standing("s", "ff", begun=2), Move("end", failed=2)),
    ("also where they stopped it", Rules(), standing("s", "ff", begun=2, stopped=True), Move("end", failed=2)),
    ("and where somebody paused it", Rules(), standing("s", "ss", begun=2, paused=True), Move("end")),
    ("not before all are over", Rules(), standing("s", "ffr", begun=2), Move("stop", failed=2)),
    ("a run held back is not over", Rules(), standing("s", "s.", begun=2, paused=True), Move("pause")),
]


@pytest.mark.parametrize(("rules", "now", "move"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_next_move(rules, now, move):
    assert next_move(rules, now, NOW) == move


STATES = st.sampled_from("sfrwn")
STANDINGS = st.builds(
    lambda stages, begun, **more: standing(*stages, begun=min(begun, len(stages)), **more),
    st.lists(st.text(STATES, min_size=1, max_size=6), min_size=1, max_size=5),
    st.integers(0, 5),
    stopped=st.booleans(),
    paused=st.booleans(),
    accepted=st.integers(0, 6),
    released=st.integers(1, 6),
)
RULES = st.builds(Rules, pause_s=st.sampled_from([0.0, 60.0, "manual"]), stop_at_percent=st.floats(0, 100))


@given(RULES, STANDINGS)
def test_nothing_begins_while_something_holds_or_goes_on(rules, now):
    move = next_move(rules, now, NOW)
    states = [state for stage in now.stages[: now.begun] for state in stage]
    over = all(state in OVER for state in states)
    left = now.begun < len(now.stages)
    assert (move.kind == "end") == (over and not left)
    if move.kind in ("begin", "wait", "ask"):
        assert over
        assert left
        assert not now.stopped
        assert not now.paused


@given(RULES, STANDINGS, st.data())
def test_a_stop_is_lifted_by_nobody_but_a_person(rules, now, data):
    held = replace(now, stopped=True)
    ends = {"running": st.sampled_from(["succeeded", "failed"]), "waiting": st.sampled_from(["succeeded", "failed"])}
    later = tuple(tuple(data.draw(ends.get(state, st.just(state))) for state in stage) for stage in held.stages)
    assert next_move(rules, replace(held, stages=later), NOW).kind in ("stop", "end")


@given(RULES, STANDINGS)
def test_what_was_accepted_stops_nothing_again(rules, now):
    states = [state for stage in now.stages[: now.begun] for state in stage]
    failed = sum(state in ("failed", "cancelled") for state in states)
    resumed = replace(now, stopped=False, paused=False, accepted=failed)
    assert next_move(rules, resumed, NOW).kind not in ("stop", "pause")
