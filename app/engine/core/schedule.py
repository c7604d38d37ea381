"""Times of a schedule: cron in a time zone, what was missed, and a spread that is the same whoever computes it.

Fields mean what they mean to Debian's cron, also when clocks change: a time that the clock jumps over comes right after
the jump, one that the clock shows twice comes once, and what runs every few minutes or hours goes by elapsed time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import islice, pairwise, takewhile
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from app.core.errors import Invalid, Problem

CatchUp = Literal["skip", "one", "all"]
CATCH_UPS: tuple[CatchUp, ...] = ("skip", "one", "all")
GRACE = timedelta(seconds=120)
MOST_CAUGHT_UP = 100
MOST_COUNTED = 1000
LONGEST_JITTER_S = 3600
LONGEST_CRON = 200
_SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# Clocks are set back by less: what began before the change is then seen in the order of real time.
_BACK = timedelta(hours=3)
_FIRST_WINDOW = timedelta(hours=2)


@dataclass(frozen=True)
class Schedule:
    """A cron expression of five fields in an IANA time zone. Make one with :func:`parse_schedule`."""

    cron: str
    zone: str

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The times later than ``moment``, in UTC, rising. Ends where none comes within fifty years."""
        last = moment.astimezone(UTC)
        for found in CronSim(self.cron, (last - _BACK).astimezone(self._tz)):
            at = found.astimezone(UTC)
            if at > last:
                last = at
                yield at

    def next(self, moment: datetime, count: int = 1) -> list[datetime]:
        """The first ``count`` times after ``moment``; fewer where there are no more."""
        return list(islice(self.after(moment), count))

    def between(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """The times from ``first`` to ``last``, both included."""
        return takewhile(lambda at: at <= last, self.after(first - timedelta(seconds=1)))

    def latest(self, first: datetime, last: datetime, most: int) -> list[datetime]:
        """The last ``most`` times from ``first`` to ``last``. Its cost follows ``most``, not the time that went by."""
        window = _FIRST_WINDOW
        while True:
            begin = max(first, last - window)
            found = list(self.between(begin, last))
            if begin <= first or len(found) >= most:
                return found[-most:]
            window *= 4

    @cached_property
    def _tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


def parse_schedule(cron: str, zone: str, *, now: datetime, jitter_s: int = 0) -> Schedule:
    """The schedule. Raises Invalid naming ``cron``, ``zone`` or ``jitter_s``: for what is no schedule, one that never
    comes (30 February), and a spread that is longer than the time between two runs."""
    if zone not in _zones():
        raise _wrong("zone_unknown", f"There is no time zone {zone[:80]}. Take a name such as Europe/Paris.", "zone")
    schedule = Schedule(_fields(cron), zone)
    try:
        times = schedule.next(now, 10)
    except CronSimError as error:
        if _only_the_day_is_wrong(schedule.cron):
            raise _never(cron) from None
        field = str(error).removeprefix("Bad ")
        message = f"The {field} of “{cron[:80]}” is wrong." if field in _FIELDS else "A schedule has five fields."
        raise _wrong("cron_wrong", message, "cron", field=field) from None
    if not times:
        raise _never(cron)
    _check_jitter(jitter_s, times)
    return schedule


_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")


def _fields(cron: str) -> str:
    """The five fields. A sixth, for seconds, is refused here: the library would take it."""
    text = _SHORT.get(cron.strip().lower(), cron.strip())
    if len(text) > LONGEST_CRON or len(text.split()) != len(_FIELDS):
        message = "A schedule has five fields: minute, hour, day of month, month, day of week."
        raise _wrong("cron_wrong", message, "cron", field="")
    return " ".join(text.split())


def _only_the_day_is_wrong(cron: str) -> bool:
    """Whether the fields are right by themselves, so that only the day and the month do not go together."""
    minute, hour, day, _month, weekday = cron.split()
    try:
        CronSim(f"{minute} {hour} {day} * {weekday}", datetime(2000, 1, 1, tzinfo=UTC))
        CronSim(f"0 0 * {_month} *", datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True


def _never(cron: str) -> Invalid:
    message = f"“{cron[:80]}” never comes: no month it names has that day."
    return _wrong("cron_never", message, "cron")


def _wrong(code: str, message: str, at: str, **params: object) -> Invalid:
    return Invalid(message, code=code, problems=[Problem(code, message, field=at, params=params)], params=params)


def _check_jitter(jitter_s: int, times: list[datetime]) -> None:
    gaps = [int((later - earlier).total_seconds()) for earlier, later in pairwise(times)]
    most = min([LONGEST_JITTER_S, *(gap - 1 for gap in gaps)])
    if not 0 <= jitter_s <= most:
        raise _wrong("jitter_wrong", f"The spread may be 0 to {most} seconds here.", "jitter_s", limit=most)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime"})


def spread(seed: str, due: datetime, jitter_s: int) -> timedelta:
    """How much later than ``due`` to start: 0 to ``jitter_s`` seconds, the same for the same seed and time."""
    digest = hashlib.sha256(f"{seed}:{due.astimezone(UTC).isoformat()}".encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8]) % (jitter_s + 1))


@dataclass(frozen=True)
class Missed:
    """Times that were let go: the first and the last of them, and how many (``MOST_COUNTED`` stands for more too)."""

    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True)
class Turn:
    """What to do now: start for each of ``fire`` (with the due times, rising), note ``missed``, and look again for
    ``next_due`` at ``next_at``. Both None: the schedule has come to its end."""

    fire: tuple[datetime, ...]
    missed: Missed | None
    next_due: datetime | None
    next_at: datetime | None


@dataclass(frozen=True)
class Pace:
    """How strictly a schedule is kept. ``limit`` is how many missed times ``all`` makes up for, the latest ones."""

    seed: str
    jitter_s: int = 0
    catch_up: CatchUp = "one"
    limit: int = 1


def turn(schedule: Schedule, pace: Pace, next_due: datetime, now: datetime) -> Turn:
    """What is due at ``now``, when ``next_due`` is the first time that was not dealt with yet."""
    wanted = max(pace.limit, 1) + 3  # three at most are still in time, as a schedule comes once a minute at most
    ripe = [at for at in schedule.latest(next_due, now, wanted) if at + spread(pace.seed, at, pace.jitter_s) <= now]
    fire = _chosen(ripe, pace, now)
    following = _following(schedule, ripe[-1] if ripe else next_due - timedelta(seconds=1))
    at = following + spread(pace.seed, following, pace.jitter_s) if following else None
    return Turn(tuple(fire), _missed(schedule, next_due, ripe, fire), following, at)


def first_turn(schedule: Schedule, pace: Pace, now: datetime, due: datetime | None = None) -> Turn:
    """The first time of a schedule that begins ``now``, or that goes on with ``due``, which was not dealt with yet."""
    following = due or _following(schedule, now)
    at = following + spread(pace.seed, following, pace.jitter_s) if following else None
    return Turn((), None, following, at)


def _following(schedule: Schedule, after: datetime) -> datetime | None:
    return next(schedule.after(after), None)


def is_late(pace: Pace, due: datetime, now: datetime) -> bool:
    """Whether a time that is due counts as missed."""
    return now - due - spread(pace.seed, due, pace.jitter_s) > GRACE


def _chosen(ripe: list[datetime], pace: Pace, now: datetime) -> list[datetime]:
    on_time = [at for at in ripe if not is_late(pace, at, now)]
    if pace.catch_up == "all":
        late = [at for at in ripe if at not in on_time]
        return late[-pace.limit :] + on_time if pace.limit else on_time
    return on_time or (ripe[-1:] if pace.catch_up == "one" else [])


def _missed(schedule: Schedule, next_due: datetime, ripe: list[datetime], fire: list[datetime]) -> Missed | None:
    if not ripe:
        return None
    counted = list(islice(schedule.between(next_due, ripe[-1]), MOST_COUNTED + len(fire)))
    let_go = [at for at in counted if at not in fire]
    if not let_go:
        return None
    late = [at for at in ripe if at not in fire]  # beyond what was counted, perhaps
    return Missed(let_go[0], max([let_go[-1], *late[-1:]]), min(len(let_go), MOST_COUNTED))
