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
