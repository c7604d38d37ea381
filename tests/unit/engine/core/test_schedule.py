"""Times of a schedule: clocks that change, what was missed, the spread."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.engine.core.schedule import (
    MOST_COUNTED,
    Pace,
    Schedule,
    first_turn,
    parse_schedule,
    spread,
    turn,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CRONS = [
    "*/15 * * * *",
    "30 2 * * *",
    "0,30 2 * * *",
    "50 1 * * *",
    "0 */6 * * *",
    "15 3 * * 0",
    "0 12 29 2 *",
    "5 2 L * *",
]
ZONES = ["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def day(cron: str, zone: str, first: str, last: str) -> list[str]:
    found = Schedule(cron, zone).between(utc(first), utc(last))
    return [f"{at:%d %H:%M}" for at in found]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        # Clocks go from 2:00 to 3:00 on the 29th, which is 1:00 UTC.
        ("30 2 * * *", ["28 01:30", "29 01:00", "30 00:30"]),
        ("0,30 2 * * *", ["28 01:00", "28 01:30", "29 01:00", "30 00:00", "30 00:30"]),
        ("0 3 * * *", ["28 02:00", "29 01:00", "30 01:00"]),
        ("0 9 * * *", ["28 08:00", "29 07:00", "30 07:00"]),
    ],
)
def test_a_time_that_the_clock_jumps_over_comes_right_after(cron: str, expected: list[str]) -> None:
    assert day(cron, "Europe/Paris", "2026-03-28T00:00", "2026-03-30T12:00") == expected


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        # Clocks go from 3:00 back to 2:00 on the 25th, which is 1:00 UTC: 2:30 is there twice, at 0:30 and at 1:30.
        ("30 2 * * *", ["24 00:30", "25 00:30", "26 01:30"]),
        ("0 9 * * *", ["24 07:00", "25 08:00", "26 08:00"]),
    ],
)
def test_a_time_that_the_clock_shows_twice_comes_once(cron: str, expected: list[str]) -> None:
    assert day(cron, "Europe/Paris", "2026-10-24T00:00", "2026-10-26T12:00") == expected


def test_asked_inside_the_doubled_hour_it_does_not_come_again() -> None:
    inside = utc("2026-10-25T01:10")  # 2:10 for the second time
    assert Schedule("30 2 * * *", "Europe/Paris").next(inside) == [utc("2026-10-26T01:30")]


@pytest.mark.parametrize("month", ["2026-03-29", "2026-10-25"])
def test_what_runs_every_half_hour_goes_by_elapsed_time(month: str) -> None:
    found = list(Schedule("*/30 * * * *", "Europe/Paris").between(utc(f"{month}T00:00"), utc(f"{month}T04:00")))
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=30)}


@given(st.sampled_from(CRONS), st.sampled_from(ZONES), st.integers(0, 3 * 366 * 24 * 60), st.integers(1, 30))
@settings(max_examples=150, deadline=None)
def test_times_rise_and_do_not_depend_on_where_one_begins(cron: str, zone: str, minute: int, count: int) -> None:
    schedule = Schedule(cron, zone)
    begin = NOW + timedelta(minutes=minute)
    times = schedule.next(begin, count)
    assert all(earlier < later for earlier, later in pairwise([begin, *times]))
    for place, at in enumerate(times):
        assert schedule.next(at, 1) == times[place + 1 : place + 2] or place == count - 1
        assert schedule.next(at - timedelta(seconds=1), 1) == [at]
    later = begin + timedelta(seconds=1)
    assert schedule.latest(later, times[-1], count) == times
    assert schedule.latest(later, times[-1], 3) == times[-3:]


@pytest.mark.parametrize(
    ("cron", "zone", "code"),
    [
        ("0 0 30 2 *", "UTC", "cron_never"),
        ("0 0 31 4,6,9,11 *", "UTC", "cron_never"),
        ("0 0 31 FEB *", "Europe/Paris", "cron_never"),
        ("60 * * * *", "UTC", "cron_wrong"),
        ("* * * *", "UTC", "cron_wrong"),
        ("* * * * * *", "UTC", "cron_wrong"),
        ("5-1 * * * *", "UTC", "cron_wrong"),
        ("*/0 * * * *", "UTC", "cron_wrong"),
        ("", "UTC", "cron_wrong"),
        ("@reboot", "UTC", "cron_wrong"),
        ("0 0 32 * *", "UTC", "cron_wrong"),
        ("0 0 * 13 *", "UTC", "cron_wrong"),
        ("0 0 * * 8", "UTC", "cron_wrong"),
        ("٣ * * * *", "UTC", "cron_wrong"),
        ("0 " * 4 + ",".join(["0"] * 200), "UTC", "cron_wrong"),
        ("0 0 * * *", "Europe/Atlantis", "zone_unknown"),
        ("0 0 * * *", "../../etc/passwd", "zone_unknown"),
        ("0 0 * * *", "", "zone_unknown"),
    ],
)
def test_what_never_comes_or_is_no_schedule_is_refused(cron: str, zone: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_schedule(cron, zone, now=NOW)
    assert refused.value.code == code
    assert refused.value.problems[0].field == ("zone" if code == "zone_unknown" else "cron")


def test_leap_days_and_short_names_are_schedules() -> None:
    assert parse_schedule("0 0 29 2 *", "UTC", now=NOW).next(NOW, 1) == [utc("2028-02-29T00:00")]
    assert parse_schedule(" @Daily ", "UTC", now=NOW).next(NOW, 1) == [utc("2026-01-02T00:00")]


def test_the_spread_is_shorter_than_the_time_between_two_runs() -> None:
    parse_schedule("*/5 * * * *", "UTC", now=NOW, jitter_s=299)
    for jitter_s in (300, -1):
        with pytest.raises(Invalid) as refused:
            parse_schedule("*/5 * * * *", "UTC", now=NOW, jitter_s=jitter_s)
        assert refused.value.code == "jitter_wrong"


def test_the_spread_is_the_same_for_the_same_seed_and_differs_between_seeds() -> None:
    due = utc("2026-05-05T05:00")
    found = {seed: spread(seed, due, 600) for seed in map(str, range(200))}
    assert found == {seed: spread(seed, due, 600) for seed in found}
    assert all(timedelta(0) <= each <= timedelta(seconds=600) for each in found.values())
    assert len(set(found.values())) > 100
    assert spread("a", due, 0) == timedelta(0)


HOURLY = Schedule("0 * * * *", "UTC")


def test_one_that_is_on_time_starts_and_looks_for_the_next() -> None:
    found = turn(HOURLY, Pace("s"), utc("2026-05-05T05:00"), utc("2026-05-05T05:00:01"))
    assert found.fire == (utc("2026-05-05T05:00"),)
    assert (found.missed, found.next_due, found.next_at) == (None, utc("2026-05-05T06:00"), utc("2026-05-05T06:00"))


def test_too_early_nothing_is_done() -> None:
    found = turn(
        HOURLY, Pace("s", jitter_s=600), utc("2026-05-05T05:00"), utc("2026-05-05T05:00") - timedelta(seconds=1)
    )
    assert (found.fire, found.missed, found.next_due) == ((), None, utc("2026-05-05T05:00"))


@pytest.mark.parametrize(
    ("catch_up", "limit", "fired", "missed"),
    [
        ("skip", 1, [], (2, 3, 4, 5, 6)),
        ("one", 1, [6], (2, 3, 4, 5)),
        ("all", 3, [4, 5, 6], (2, 3)),
        ("all", 100, [2, 3, 4, 5, 6], ()),
    ],
)
def test_what_was_missed_is_made_up_for_as_asked(
    catch_up, limit: int, fired: list[int], missed: tuple[int, ...]
) -> None:
    pace = Pace("s", catch_up=catch_up, limit=limit)
    found = turn(HOURLY, pace, utc("2026-05-05T02:00"), utc("2026-05-05T06:30"))
    assert [at.hour for at in found.fire] == fired
    assert found.next_due == utc("2026-05-05T07:00")
    if missed:
        assert found.missed is not None
        assert (found.missed.count, found.missed.first.hour, found.missed.last.hour) == (
            len(missed), missed[0], missed[-1],
        )  # fmt: skip
    else:
        assert found.missed is None


def test_a_year_of_minutes_is_bounded() -> None:
    found = turn(
        Schedule("* * * * *", "Europe/Paris"), Pace("s", catch_up="all", limit=5), NOW, NOW + timedelta(days=365)
    )
    assert len(found.fire) == 5 + 3  # those of the last two minutes are still in time
    assert found.missed is not None
    assert found.missed.count == MOST_COUNTED


@given(
    st.sampled_from(CRONS[:5]), st.integers(0, 13), st.lists(st.integers(1, 7200), max_size=40), st.integers(0, 10**6)
)
@settings(max_examples=100, deadline=None)
def test_each_time_is_dealt_with_once_however_irregular_the_looks(
    cron: str, jitter: int, steps: list[int], minute: int
) -> None:
    schedule, pace = Schedule(cron, "Europe/Paris"), Pace("seed", jitter_s=jitter * 60, catch_up="all", limit=100)
    now = NOW + timedelta(minutes=minute)
    begin, due, fired = now, first_turn(schedule, pace, now).next_due, []
    for step in steps:
        now += timedelta(seconds=step)
        assert due is not None
        done = turn(schedule, pace, due, now)
        assert done.missed is None
        assert all(at + spread("seed", at, jitter * 60) <= now for at in done.fire)
        fired += done.fire
        due = done.next_due
    expected = schedule.between(begin + timedelta(seconds=1), now)
    assert fired == [at for at in expected if at + spread("seed", at, jitter * 60) <= now]
