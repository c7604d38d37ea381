"""The rows of a batch in the database, each of these a statement for all of them; nobody walks them here."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.data.models.runs import Run, RunPlan, RunQueue
from app.data.repositories import batches
from app.data.session import tenant_session
from app.engine.core.planned import Plan, PlannedStep
from app.engine.runtime.batch_rows import NOTHING, PlannedRow, settled
from app.engine.runtime.record import StoredPlan
from app.services import runs
from tests.engine.kit import NO_POLICY, chain, make_tenant
from tests.servers import TestStack

NOOP = {"id": "a", "type": "flow.noop"}
INPUTS = {"type": "object", "properties": {"n": {"type": "integer"}}}
REFUSED = PlannedStep(node="a", name="", type="", version=1, problem={"code": "not_found", "message": "Not there."})


class Table:
    """A batch of three rows that nobody has planned yet."""

    def __init__(self, client: UUID, head: UUID, rows: list[tuple[UUID, int]]) -> None:
        self.client, self.head, self.rows = client, head, rows

    async def plan(self, row: int, *steps: PlannedStep) -> None:
        run_id, number = self.rows[row]
        planned = settled(PlannedRow(run_id, number, StoredPlan(Plan(steps=steps), f"seal {number}")), "apply")
        async with tenant_session(self.client) as session:
            await batches.keep_plans(session, self.client, [planned])

    async def row(self, row: int) -> tuple[Run, RunPlan | None, RunQueue | None]:
        key = (self.client, self.rows[row][0])
        async with tenant_session(self.client) as session:
            run = await session.get(Run, key)
            assert run is not None
            return run, await session.get(RunPlan, key), await session.get(RunQueue, key)


@pytest.fixture
async def table(web: TestStack) -> Table:
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(chain("Rows", NOOP, inputs=INPUTS))
    rows = [{"n": number} for number in range(3)]
    head = await runs.start_batch(tenant.engineer, workflow=flow.id, rows=rows, mode="apply")
    async with tenant_session(tenant.engineer.client_id) as session:
        numbers = await batches.numbers(session, tenant.engineer.client_id, head)
    assert [number for _, number in numbers] == [1, 2, 3]
    return Table(tenant.engineer.client_id, head, numbers)


async def test_a_row_refused_by_the_first_plan_and_not_by_the_second_is_not_over(table: Table) -> None:
    await table.plan(0, REFUSED)
    run, plan, _ = await table.row(0)
    assert (run.state, bool(run.finished_at), (run.reason or {})["phase"]) == ("failed", True, "plan")
    assert plan is not None
    await table.plan(0)
    run, plan, place = await table.row(0)
    assert (run.state, run.reason, run.finished_at, run.seal) == ("waiting", {"code": "batch"}, None, "seal 1")
    assert plan is not None
    assert plan.plan["steps"] == []
    assert place is None, "it waits for its batch"


async def test_those_that_may_run_are_let_go_under_the_seal_in_the_tables_order(table: Table) -> None:
    await table.plan(0)
    await table.plan(1, REFUSED)
    await table.plan(2)
    async with tenant_session(table.client) as session:
        assert [number for _, number, _, _ in await batches.plans(session, table.client, table.head)] == [1, 3]
        await batches.let_go(session, table.client, table.head, "whole")
    found = [await table.row(place) for place in range(3)]
    assert [run.state for run, _, _ in found] == ["queued", "failed", "queued"]
    assert [place is not None for _, _, place in found] == [True, False, True]
    first, last = found[0][0], found[2][0]
    assert (first.extra["batch_seal"], first.extra["row_seal"], first.reason) == ("whole", "seal 1", None)
    ready: Any = [place.ready_at for _, _, place in found if place]
    assert ready == sorted(ready)
    assert last.extra["row_seal"] == "seal 3"


async def test_what_is_dropped_did_nothing_and_what_was_let_go_is_asked_to_stop(table: Table) -> None:
    await table.plan(0)
    await table.plan(1, REFUSED)
    async with tenant_session(table.client) as session:
        await batches.drop(session, table.client, table.head, "cancelled", NOTHING, asked=True)
    found = [(await table.row(place))[0] for place in range(3)]
    assert [(run.state, (run.reason or {})["code"]) for run in found] == [
        ("cancelled", "cancelled"),
        ("failed", "not_found"),
        ("cancelled", "cancelled"),
    ]
    assert [bool(run.cancel_requested_at) for run in found] == [True, False, True]
    async with tenant_session(table.client) as session:
        assert await batches.states(session, table.client, table.head) == {"cancelled": 2, "failed": 1}
        assert await batches.done(session, table.client, table.head) == {
            **NOTHING, "problems": 1, "rows": 3, "refused": 1,
        }  # fmt: skip


async def test_a_stop_reaches_every_row_that_is_not_over(table: Table) -> None:
    for place in range(3):
        await table.plan(place)
    async with tenant_session(table.client) as session:
        await batches.let_go(session, table.client, table.head, "whole")
    before = [(await table.row(place))[2] for place in range(3)]
    async with tenant_session(table.client) as session:
        await batches.drop(session, table.client, table.head, "batch_failed", NOTHING)
        await batches.stop(session, table.client, table.head)
    found = [await table.row(place) for place in range(3)]
    assert [run.state for run, _, _ in found] == ["queued"] * 3, "what was let go is not dropped"
    assert all(run.cancel_requested_at for run, _, _ in found)
    assert [place.wakeups for _, _, place in found if place] == [place.wakeups + 1 for place in before if place]


async def test_no_row_of_another_client_is_touched(table: Table) -> None:
    other = (await make_tenant(NO_POLICY)).engineer.client_id
    await table.plan(0)
    async with tenant_session(other) as session:
        await batches.let_go(session, other, table.head, "whole")
        await batches.let_go(session, table.client, table.head, "whole")
        await batches.drop(session, table.client, table.head, "cancelled", NOTHING)
        assert await batches.states(session, table.client, table.head) == {}
        assert await batches.numbers(session, table.client, table.head) == []
        assert await batches.done(session, table.client, table.head) == {"rows": 0, "refused": 0}
    assert (await table.row(0))[0].state == "waiting"
