"""Claimed runs come with all that walking them needs, and without where one of them cannot be read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.core.ids import new_id
from app.data.routing import Database
from app.engine.runtime.dispatch import Dispatch, LeaseLost
from app.engine.runtime.record import parse_record
from tests.db.world import Company, Connection, runs
from tests.servers import TestStack


@pytest.fixture
async def dispatch(own: TestStack) -> AsyncIterator[Dispatch]:
    database = Database(own.dsn("worker"))
    found = Dispatch(database.links(), new_id())
    await found.register("dispatch-under-test", 60)
    yield found
    await database.dispose()


async def test_each_run_comes_with_what_is_its_own_clients(
    superuser: Connection, first: Company, second: Company, dispatch: Dispatch
) -> None:
    wanted = {*await runs(superuser, first, 2), *await runs(superuser, second, 2)}
    found = await dispatch.claim(10)
    assert {each.claim.run_id for each in found} == wanted
    for each in found:
        record = parse_record(each.loaded or {})
        assert (record.client_id, record.run_id) == (each.claim.client_id, each.claim.run_id)
        assert record.client["slug"] == (first if record.client_id == first.client_id else second).slug


async def test_what_cannot_be_read_is_claimed_all_the_same(
    superuser: Connection, first: Company, dispatch: Dispatch
) -> None:
    """Whoever walks it tells people why it cannot be, which nobody could while it stays in the queue."""
    wanted = await runs(superuser, first, 2)
    for right in ("REVOKE SELECT ON workflow_versions FROM", "GRANT SELECT ON workflow_versions TO"):
        await superuser.execute(f"{right} opsloom_app")
        if right.startswith("REVOKE"):
            found = await dispatch.claim(10)
    assert {each.claim.run_id for each in found} == set(wanted)
    assert [each.loaded for each in found] == [None, None]


async def test_without_a_lease_nothing_is_claimed(superuser: Connection, first: Company, own: TestStack) -> None:
    await runs(superuser, first)
    database = Database(own.dsn("worker"))
    with pytest.raises(LeaseLost):
        await Dispatch(database.links(), new_id()).claim(10)
    await database.dispose()
