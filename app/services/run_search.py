"""Finding runs: by how they stand, workflow, time, and words of their label, inputs and errors. Newest first.

Ended runs are found by an index of words; a run that goes on is not in it yet, so the newest of those are looked
through. A page is filled by bites of candidates, each a look into an index, until it is full or there are no more.
Where so many runs have a word, and so few of them are what else is asked for, that this takes long, the search is
refused: a page that is not full is the last one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, literal, text
from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.errors import Invalid, Problem
from app.core.ids import first_at
from app.core.run_states import OVER
from app.data.models.runs import Run
from app.data.models.workflows import Workflow

ENDS = frozenset(OVER)
LARGEST_PAGE = 500
# Candidates at once: few at first, since the first are often enough, and then twice as many each time up to the most.
_BITE = 500
_LARGEST_BITE = 8000
_LONGEST_S = 3.0
# Of one client at the same time; more than these are not looked through.
_MOST_OPEN = 5000
# A beginning that fits more words than these is looked up as one range.
_MOST_WORDS = 50
_LAST = chr(0x10FFFF)
# Clocks of several machines: a run's id may be this much older than its row says.
_SLACK = timedelta(days=1)

_WORDS = "SELECT found.word FROM opsloom_words(:search, '{}', NULL) AS found (word)"
# From one different word to the next, so that what is read is as many as there are words.
_SPELLINGS = """
WITH RECURSIVE spelling AS (
    (SELECT w.word FROM run_words w WHERE w.client_id = :client AND w.word >= :low AND w.word < :high
      ORDER BY w.word LIMIT 1)
    UNION ALL
    SELECT (SELECT w.word FROM run_words w WHERE w.client_id = :client AND w.word > s.word AND w.word < :high
             ORDER BY w.word LIMIT 1)
      FROM spelling s WHERE s.word IS NOT NULL)
SELECT word FROM spelling WHERE word IS NOT NULL LIMIT :most"""
_OF_EACH = """
SELECT DISTINCT newest.run_id FROM unnest(CAST(:words AS text[])) AS s (word), LATERAL (
    SELECT w.run_id FROM run_words w WHERE w.client_id = :client AND w.word = s.word AND w.run_id < :before
     ORDER BY w.run_id DESC LIMIT :bite) AS newest
 ORDER BY newest.run_id DESC LIMIT :bite"""
_OF_RANGE = """
SELECT DISTINCT w.run_id FROM run_words w
 WHERE w.client_id = :client AND w.word >= :low AND w.word < :high AND w.run_id < :before
 ORDER BY w.run_id DESC LIMIT :bite"""


@dataclass(frozen=True)
class Wanted:
    """What is looked for. Everything that is given must hold. ``before`` is the last run of the page before.

    Rows of a batch are found by words only: without, the batch stands for them.
    """

    client_id: UUID
    states: Sequence[str] = ()
    workflow: UUID | None = None
    mode: str | None = None
    kind: str | None = None
    search: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None
    limit: int = 50

    @property
    def most(self) -> int:
        return max(1, min(self.limit, LARGEST_PAGE))


Found = tuple[Run, str]


async def newest_fitting(session: AsyncSession, wanted: Wanted) -> list[Found]:
    """The newest runs that fit, with their workflows' names; fewer than ``limit`` only where there are no more.

    Raises Invalid where looking through the runs that have the words takes too long.
    """
    if not wanted.search.strip():
        return await _rows(session, wanted, col(Run.parent).is_(None))
    words = [row[0] for row in (await _execute(session, _WORDS, search=wanted.search[:500])).all()]
    if not words:
        return []
    going = await _going_on(session, wanted, words) if _may_go_on(wanted) else []
    over = await _over(session, wanted, words) if _may_be_over(wanted) else []
    return sorted([*going, *over], key=lambda found: found[0].id, reverse=True)[: wanted.most]


def _may_go_on(wanted: Wanted) -> bool:
    return not wanted.states or not ENDS.issuperset(wanted.states)


def _may_be_over(wanted: Wanted) -> bool:
    return not wanted.states or not ENDS.isdisjoint(wanted.states)


async def _going_on(session: AsyncSession, wanted: Wanted, words: list[str]) -> list[Found]:
    """Runs that go on, by looking through the newest of them."""
    newest = (
        select(Run.id)
        .where(Run.client_id == wanted.client_id, col(Run.outcome).is_(None), *older(wanted))
        .order_by(col(Run.id).desc())
        .limit(_MOST_OPEN)
    )
    return await _rows(session, wanted, col(Run.id).in_(newest), _has(words))


async def _over(session: AsyncSession, wanted: Wanted, words: list[str]) -> list[Found]:
    """Ended runs, from the rarest way into the index: its longest word."""
    lead, *others = sorted(words, key=len, reverse=True)
    spellings = await _spellings(session, wanted.client_id, lead)
    more = [col(Run.outcome).is_not(None), *([_has(others)] if others else [])]
    found: list[Found] = []
    first, before = _ids_within(wanted)
    bite, until = _BITE, time.monotonic() + _LONGEST_S
    while len(found) < wanted.most:
        ids = await _candidates(session, wanted.client_id, lead, spellings, before, bite)
        if ids:
            # The last of them bounds what is read, should the planner rather go through the runs in their order.
            among = (col(Run.id) >= ids[-1], col(Run.id) == any_(literal(ids, ARRAY(Uuid))))
            found += await _rows(session, wanted, *among, *more)
        if len(ids) < bite or ids[-1] < first:
            break
        if len(found) < wanted.most and time.monotonic() > until:
            raise _too_wide()
        before, bite = ids[-1], min(2 * bite, _LARGEST_BITE)
    return found[: wanted.most]


def _ids_within(wanted: Wanted) -> tuple[UUID, UUID]:
    """The ids between which runs of the wanted time and page are; the second one is not among them."""
    last = UUID(int=(1 << 128) - 1)
    until = _id_near(wanted.until, _SLACK) if wanted.until else last
    return _id_near(wanted.since, -_SLACK) if wanted.since else UUID(int=0), min(until, wanted.before or last)


def _id_near(moment: datetime, by: timedelta) -> UUID:
    """The first id of the moment that is so much later, or of the moment itself where time does not go so far."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return first_at(aware + by)
    except OverflowError:
        return first_at(aware)


def _too_wide() -> Invalid:
    message = "Too many runs have these words. Add a longer word, or a time."
    return Invalid(message, code="search_too_wide", problems=[Problem("search_too_wide", message, field="search")])


async def _spellings(session: AsyncSession, client: UUID, lead: str) -> list[str] | None:
    """The words that begin with ``lead``; None where they are too many to go through one by one."""
    values = {"client": client, "low": lead, "high": lead + _LAST, "most": _MOST_WORDS + 1}
    words = [row[0] for row in (await _execute(session, _SPELLINGS, **values)).all()]
    return words if len(words) <= _MOST_WORDS else None


async def _candidates(
    session: AsyncSession, client: UUID, lead: str, spellings: list[str] | None, before: UUID, bite: int
) -> list[UUID]:
    values: dict[str, Any] = {"client": client, "before": before, "bite": bite}
    if spellings is None:
        rows = await _execute(session, _OF_RANGE, low=lead, high=lead + _LAST, **values)
    else:
        rows = await _execute(session, _OF_EACH, words=spellings, **values)
    return [row[0] for row in rows.all()]


async def _rows(session: AsyncSession, wanted: Wanted, *more: Any) -> list[Found]:
    query = (
        select(Run, Workflow.name)
        .join(Workflow, (col(Workflow.client_id) == col(Run.client_id)) & (col(Workflow.id) == col(Run.workflow_id)))
        .where(Run.client_id == wanted.client_id, *conditions(wanted), *older(wanted), *more)
        .order_by(col(Run.id).desc())
        .limit(wanted.most)
    )
    return [(run, name) for run, name in (await session.exec(query)).all()]


def older(wanted: Wanted) -> list[Any]:
    """What the page before bounds."""
    return [col(Run.id) < wanted.before] if wanted.before else []


def conditions(wanted: Wanted) -> list[Any]:
    """The filters that were asked for. Times also bound the id, which the indexes are ordered by."""
    found: list[Any] = [_standing(wanted.states)] if wanted.states else []
    pairs = ((Run.workflow_id, wanted.workflow), (Run.mode, wanted.mode), (Run.kind, wanted.kind))
    found += [col(column) == value for column, value in pairs if value is not None]
    if wanted.since:
        found += [col(Run.created_at) >= wanted.since, col(Run.id) >= _id_near(wanted.since, -_SLACK)]
    if wanted.until:
        found += [col(Run.created_at) < wanted.until, col(Run.id) < _id_near(wanted.until, _SLACK)]
    return found


def _standing(states: Sequence[str]) -> Any:
    ended = [state for state in states if state in ENDS]
    going = [state for state in states if state not in ENDS]
    parts: list[Any] = []
    if ended:
        parts.append(col(Run.outcome) == ended[0] if len(ended) == 1 else col(Run.outcome).in_(ended))
    if going:
        parts.append(col(Run.outcome).is_(None) & col(Run.state).in_(going))
    return or_(*parts)


def _has(words: list[str]) -> Any:
    return func.opsloom_has_words(words, Run.label, Run.inputs, Run.reason)


async def _execute(session: AsyncSession, statement: str, **values: Any) -> Any:
    return await (await session.connection()).execute(text(statement), values)
