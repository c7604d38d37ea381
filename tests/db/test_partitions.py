"""History stands in the month of its run; months are made ahead; audit rows stay as they were written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from app.core.ids import new_id
from app.data import doors, roles
from app.data.isolation import prove_rules
from app.data.isolation.catalogue import read
from tests.db.conftest import Connect
from tests.db.world import Company, Connection, runs, value


async def test_an_event_stands_in_the_month_of_its_run(superuser: Connection, first: Company) -> None:
    [run] = await runs(superuser, first)
    await superuser.execute(
        "INSERT INTO step_events (client_id, run_id, seq, node, kind) VALUES (%s, %s, 1, 'n', 'k')",
        (first.client_id, run),
    )
    where = await value(superuser, "SELECT tableoid::regclass::text FROM step_events WHERE run_id = %s", run)
    assert where == f"step_events_{datetime.now(UTC):%Y_%m}"


async def test_months_are_made_ahead_with_their_policies(superuser: Connection, connect: Connect) -> None:
    before = {table.name for table in (await read(superuser)).tables if table.parent == "step_events"}
    scheduler = await connect("scheduler")
    assert await doors.maintain_partitions(scheduler) == 0
    assert await doors.maintain_partitions(scheduler, 6) == 3
    after = {table.name for table in (await read(superuser)).tables if table.parent == "step_events"}
    assert len(after - before) == 3
    assert (await prove_rules(superuser)).failures == []
    names = sorted(after - {"step_events_default"})
    bounds = [
        await value(superuser, "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = %s", name)
        for name in names
    ]
    ends = [str(bound).split("TO (")[1] for bound in bounds]
    starts = [str(bound).split("FROM (")[1].split(") TO")[0] for bound in bounds]
    assert [end.removesuffix(")") for end in ends[:-1]] == starts[1:], "no gap, no overlap"


async def test_a_run_of_another_age_still_has_a_place(superuser: Connection, first: Company) -> None:
    """Imported history, or a clock that is wrong by years."""
    [run] = await runs(superuser, first, queued=False)
    old = "00f00000-0000-7000-8000-" + new_id().hex[-12:]
    await superuser.execute("UPDATE runs SET id = %s WHERE id = %s", (old, run))
    await superuser.execute(
        "INSERT INTO step_events (client_id, run_id, seq, node, kind) VALUES (%s, %s, 1, 'n', 'k')",
        (first.client_id, old),
    )
    where = await value(superuser, "SELECT tableoid::regclass::text FROM step_events WHERE run_id = %s", old)
    assert where == "step_events_default"


async def _run_of(superuser: Connection, company: Company, moment: datetime) -> str:
    """A run with two steps, from a clock that says ``moment``."""
    [run] = await runs(superuser, company, queued=False)
    ahead = f"{int(moment.timestamp() * 1000):012x}"
    made = f"{ahead[:8]}-{ahead[8:]}-7000-8000-{new_id().hex[-12:]}"
    await superuser.execute("UPDATE runs SET id = %s WHERE id = %s", (made, run))
    await superuser.execute(
        "INSERT INTO step_events (client_id, run_id, seq, node, kind, payload)"
        " SELECT %s, %s, n, 'n', 'succeeded', jsonb_build_object('change',"
        "        jsonb_build_object('kind', 'update', 'target', 'anna')) FROM generate_series(1, 2) n",
        (company.client_id, made),
    )
    return made


async def _place(superuser: Connection, run: str) -> list[tuple[str, int]]:
    cursor = await superuser.execute(
        "SELECT tableoid::regclass::text, count(*)::int FROM step_events WHERE run_id = %s AND target = 'anna'"
        " GROUP BY 1",
        [run],
    )
    return await cursor.fetchall()


async def test_steps_of_a_clock_that_was_ahead_go_to_their_month(
    superuser: Connection, connect: Connect, first: Company
) -> None:
    later = (datetime.now(UTC) + timedelta(days=31 * 9)).replace(day=15)
    far = await _run_of(superuser, first, later + timedelta(days=31 * 40))
    run = await _run_of(superuser, first, later)
    assert await _place(superuser, run) == [("step_events_default", 2)]
    scheduler = await connect("scheduler")
    assert await doors.maintain_partitions(scheduler, 12) > 0
    assert await _place(superuser, run) == [(f"step_events_{later:%Y_%m}", 2)]
    assert await _place(superuser, far) == [("step_events_default", 2)]
    assert await doors.maintain_partitions(scheduler, 12) == 0
    assert (await prove_rules(superuser)).failures == []
    part = f"step_events_{later:%Y_%m}"
    keys = "SELECT count(*) FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('f', 'p')"
    assert await value(superuser, keys, part) == await value(superuser, keys, "step_events_default")
    indexes = (
        "SELECT count(*) FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid"
        " WHERE x.indrelid = %s::regclass"
    )
    assert await value(superuser, indexes, part) == await value(superuser, indexes, "step_events_default")


async def _many(superuser: Connection, company: Company, first: datetime, last: datetime, count: int) -> None:
    """So many steps of one run at ``first`` and one at ``last``, written while their month had no partition."""
    for moment, number in ((first, count - 1), (last, 1)):
        run = await _run_of(superuser, company, moment)
        await superuser.execute("DELETE FROM step_events WHERE run_id = %s", (run,))
        await superuser.execute(
            "INSERT INTO step_events (client_id, run_id, seq, node, kind) SELECT %s, %s, n, 'n', 'k'"
            " FROM generate_series(1, %s) n",
            (company.client_id, run, number),
        )


async def test_of_a_month_that_is_too_large_to_be_moved_the_rest_is_made(
    superuser: Connection, connect: Connect, first: Company
) -> None:
    """What stands in the default partition stays until it is archived; what comes has its place."""
    later = (datetime.now(UTC).replace(day=15) + timedelta(days=30.5 * 13)).replace(day=10, hour=12)
    until = later + timedelta(days=5)
    await _many(superuser, first, later, until, 100_001)
    scheduler, told = await connect("scheduler"), list[str]()
    scheduler.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    part = f"step_events_{later:%Y_%m}"
    held = "SELECT count(*) FROM step_events"
    before = await value(superuser, held)
    assert await doors.maintain_partitions(scheduler, 13) > 0
    assert [f"{part} is made in part" in text for text in told] == [True]
    assert await value(superuser, held) == before
    places = {
        moment: (await _place(superuser, await _run_of(superuser, first, moment)))[0][0]
        for moment in (later - timedelta(days=1), later + timedelta(days=1), until + timedelta(seconds=1))
    }
    assert list(places.values()) == [f"{part}_head", "step_events_default", part]
    assert (await prove_rules(superuser)).failures == []
    assert await doors.maintain_partitions(scheduler, 13) == 0
    assert len(told) == 1, "it is said once"


async def test_a_part_of_a_month_goes_when_the_month_is_empty(superuser: Connection, connect: Connect) -> None:
    async with superuser.transaction():
        await superuser.execute(f"SET LOCAL ROLE {roles.OWNER}")
        for part, first, after in (("_head", "2020-01-01Z", "2020-01-10Z"), ("", "2020-01-20Z", "2020-02-01Z")):
            bounds = (f"step_events_2020_01{part}", first, after)
            await superuser.execute("SELECT make_history_month(%s, uuid7_at(%s), uuid7_at(%s))", bounds)
    scheduler = await connect("scheduler")
    assert await doors.drop_empty_partitions(scheduler) == 2


async def test_a_month_that_cannot_be_made_keeps_no_other_from_it(superuser: Connection, connect: Connect) -> None:
    """Its name is taken by a type, which a table would need for its rows."""
    month = (datetime.now(UTC).replace(day=15) + timedelta(days=30.5 * 15)).replace(day=15)
    scheduler, told = await connect("scheduler"), list[str]()
    scheduler.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    await superuser.execute(f"CREATE TYPE public.step_events_{month:%Y_%m} AS ENUM ()")
    made = await doors.maintain_partitions(scheduler, 17)
    assert made >= 2
    assert [f"step_events_{month:%Y_%m} is not made" in text for text in told] == [True]
    await superuser.execute(f"DROP TYPE public.step_events_{month:%Y_%m}")
    assert await doors.maintain_partitions(scheduler, 17) == 1


async def test_a_month_waits_for_nobody(superuser: Connection, connect: Connect) -> None:
    scheduler, reader = await connect("scheduler"), await connect("superuser")
    async with reader.transaction():
        await reader.execute("LOCK TABLE step_events_default IN ACCESS SHARE MODE")
        assert await doors.maintain_partitions(scheduler, 24) == 0
    assert await doors.maintain_partitions(scheduler, 24) > 0


async def test_there_is_room_for_the_coming_months(superuser: Connection) -> None:
    later = f"step_events_{datetime.now(UTC) + timedelta(days=31):%Y_%m}"
    assert later in {table.name for table in (await read(superuser)).tables}


async def _audit_row(superuser: Connection, company: Company) -> None:
    await superuser.execute(
        "INSERT INTO audit_events (client_id, seq, at, actor, via, action, prev_hash, hash)"
        " VALUES (%s, 1, now(), 'a', 'system', 'x', '', '')",
        [company.client_id],
    )


@pytest.mark.parametrize("role", [None, roles.OWNER, roles.DATA, roles.APP])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET action = 'y'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "UPDATE {part} SET action = 'y'",
        "DELETE FROM {part}",
        "TRUNCATE {part}",
    ],
)
async def test_nobody_changes_the_audit(
    statement: str, role: str | None, superuser: Connection, first: Company
) -> None:
    """The superuser neither, unless they take the trigger away: then `audit verify` finds it."""
    await _audit_row(superuser, first)
    part = await value(
        superuser, "SELECT tableoid::regclass::text FROM audit_events WHERE client_id = %s", first.client_id
    )
    before = await value(superuser, "SELECT count(*) FROM audit_events WHERE action = 'x'")
    try:
        async with superuser.transaction():
            if role:
                await superuser.execute(f"SET LOCAL ROLE {role}")  # type: ignore[arg-type]
                await superuser.execute("SELECT set_config('app.current_tenant', %s, true)", [str(first.client_id)])
            cursor = await superuser.execute(statement.format(part=part))  # type: ignore[arg-type]
        # The owner is refused nothing it cannot see: it met no row.
        assert role == roles.OWNER
        assert cursor.rowcount == 0
    except psycopg.Error as error:
        assert error.sqlstate in ("OL002", "42501")  # noqa: PT017 - either refusal is right
    assert await value(superuser, "SELECT count(*) FROM audit_events WHERE action = 'x'") == before
