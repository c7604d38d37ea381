"""A plan is there for whatever was started from it: it is not archived under its hands, and is missed where it is."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.core.errors import Stale
from app.services import runs
from app.services.run_views import RunView
from tests.engine.kit import NO_POLICY, Tenant, Worker, chain, make_tenant, wait_for, wait_until
from tests.servers import TestStack

INPUTS = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def _plan(kind: str) -> tuple[Tenant, RunView]:
    tenant = await make_tenant(NO_POLICY)
    flow = (await tenant.publish(chain("Planned", {"id": "a", "type": "flow.noop"}, inputs=INPUTS))).id
    rows = [{"name": "One"}, {"name": "Two"}]
    if kind == "batch":
        plan = await runs.start_batch(tenant.engineer, workflow=flow, rows=rows, mode="plan")
    else:
        plan = await runs.start(tenant.engineer, workflow=flow, inputs=rows[0], mode="plan")
    return tenant, await wait_for(tenant.engineer, plan)


async def _start(tenant: Tenant, plan: RunView) -> UUID:
    if plan.kind == "batch":
        return await runs.start_planned_batch(tenant.engineer, plan.id)
    return await runs.start(tenant.engineer, workflow=plan.workflow_id, mode="apply", plan=plan.id)


def _change(stack: TestStack, statement: str, *values: Any) -> None:
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        link.execute(statement, values)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["run", "batch"])
async def test_a_plan_that_is_just_archived_starts_nothing(web: TestStack, runner: Worker, kind: str) -> None:
    tenant, plan = await _plan(kind)
    with psycopg.connect(web.superuser_dsn) as link, psycopg.connect(web.superuser_dsn, autocommit=True) as watch:
        link.execute("UPDATE runs SET archived_at = now() WHERE id = %s", [plan.id])
        starting = asyncio.create_task(_start(tenant, plan))
        await asyncio.to_thread(wait_until, lambda: watch.execute(_WAITING).fetchone() == (1,), 30, "the start to wait")
        link.commit()
        with pytest.raises(Stale) as refused:
            await starting
    assert (refused.value.code, "archived" in refused.value.message) == ("plan_unusable", True)


async def test_a_planned_table_of_which_a_row_is_archived_starts_nothing(web: TestStack, runner: Worker) -> None:
    tenant, plan = await _plan("batch")
    _change(web, "UPDATE runs SET archived_at = now() WHERE id = %s", plan.runs[1].id)
    with pytest.raises(Stale) as refused:
        await _start(tenant, plan)
    assert (refused.value.code, "archived" in refused.value.message) == ("plan_unusable", True)


async def test_a_run_whose_plan_is_gone_does_not_pass_for_one_without(web: TestStack, runner: Worker) -> None:
    tenant, plan = await _plan("run")
    _change(web, "DELETE FROM run_plans WHERE run_id = %s", plan.id)
    run = await wait_for(tenant.engineer, await _start(tenant, plan))
    assert (run.state, run.reason) == ("failed", {"code": "plan_gone", "plan": str(plan.id)})
    assert run.summary.get("steps", 0) == 0


async def test_a_row_whose_plan_is_gone_is_refused(web: TestStack, runner: Worker) -> None:
    tenant, plan = await _plan("batch")
    _change(web, "DELETE FROM run_plans WHERE run_id = %s", plan.runs[1].id)
    batch = await wait_for(tenant.engineer, await _start(tenant, plan))
    assert [row.state for row in batch.runs] == ["succeeded", "failed"]
    assert batch.runs[1].reason is not None
    assert batch.runs[1].reason["code"] == "plan_gone"
