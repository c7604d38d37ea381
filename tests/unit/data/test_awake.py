"""How long an event loop is kept from sleeping while a statement is waited for."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from app.data import awake
from app.data.awake import Awake

MOST_S = 0.001


class Loop:
    """An event loop whose clock goes a quarter of a millisecond a turn. It sleeps when nobody wants a turn."""

    def __init__(self) -> None:
        self.now = 0.0
        self._soon: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def turn(self) -> bool:
        """One turn; False where the loop sleeps instead."""
        soon, self._soon = self._soon, []
        self.now += MOST_S / 4
        for callback in soon:
            callback()
        return bool(soon)

    def turns(self) -> int:
        """How often it turns before it sleeps."""
        return sum(1 for _ in iter(self.turn, False))


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    found = Loop()
    monkeypatch.setattr(awake, "get_running_loop", lambda: found)
    monkeypatch.setattr(awake.time, "monotonic", lambda: found.now)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    return found


def late(loop: Loop, found: Awake) -> int:
    """A statement whose answer comes when the loop has gone to sleep: how often it turned before."""
    found.begin()
    turned = loop.turns()
    found.end()
    return turned


def test_it_turns_until_the_answer_is_there(loop: Loop) -> None:
    found = Awake(MOST_S)
    found.begin()
    assert loop.turn()
    assert loop.turn()
    found.end()
    assert loop.turns() == 1, "only the turn that sees the end"


def test_it_turns_no_longer_than_it_may(loop: Loop) -> None:
    assert late(loop, Awake(MOST_S)) == 4
    assert late(loop, Awake(2 * MOST_S)) == 8


def test_the_next_statement_has_its_own_time(loop: Loop) -> None:
    found = Awake(MOST_S)
    for _ in range(10):
        found.begin()
        for _ in range(3):
            assert loop.turn()
        found.end()
    assert loop.turns() == 1


def test_two_statements_at_once_are_waited_for_asleep(loop: Loop) -> None:
    found = Awake(MOST_S)
    found.begin()
    assert loop.turn()
    found.begin()
    assert loop.turns() == 1
    found.end()
    assert loop.turns() == 0, "the one that is left had its time"
    found.end()
    assert [late(loop, found) > 0 for _ in range(21)] == [False] * 20 + [True], "there was much to do"


def test_a_database_far_away_is_waited_for_asleep(loop: Loop) -> None:
    found = Awake(MOST_S)
    turned = [late(loop, found) > 0 for _ in range(208)]
    assert turned == ([True] * 4 + [False] * 100) * 2


def test_an_answer_in_time_makes_up_for_those_before(loop: Loop) -> None:
    found = Awake(MOST_S)
    for _ in range(20):
        for _ in range(3):
            assert late(loop, found)
        found.begin()
        assert loop.turn()
        found.end()
        assert loop.turns() == 1


@pytest.mark.parametrize(("processors", "most_s"), [({0}, MOST_S), ({0, 1}, 0.0)])
def test_it_sleeps_at_once_where_there_is_one_processor_or_no_time(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, processors: set[int], most_s: float
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: processors)
    assert late(loop, Awake(most_s)) == 0
