"""What can be taken back, and what is left of an undo that stopped half way."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.core.errors import Stale
from app.services import approvals, runs
from connectors.testing import Sandbox
from tests.engine.kit import (
    NO_POLICY,
    Tenant,
    Worker,
    chain,
    changing,
    make_tenant,
    wait_for,
    wait_for_question,
    wait_until,
    waiting,
)
from tests.servers import TestStack

Json = dict[str, Any]
ZOE, LIAM = "zoe@sandbox.example", "liam.o'connor@sandbox.example"
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
NOOP: Json = {"id": "idle", "type": "flow.noop"}


def disable(node: str, user: str) -> Json:
    return {"id": node, "type": "m365.user.disable", "connection": "m365", "params": {"user": user}}


async def done(m365: Sandbox, *nodes: Json) -> tuple[Tenant, Any]:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    flow = await tenant.publish(chain("Undo", *nodes))
    m365.control.clear_log()
    return tenant, await wait_for(
        tenant.engineer, await runs.start(tenant.engineer, workflow=flow.id, mode="apply"), ("waiting", "succeeded")
    )


async def refused(tenant: Tenant, run_id: Any) -> str:
    with pytest.raises(Stale) as why:
        await runs.undo(tenant.engineer, run_id)
    return why.value.code


async def test_a_run_that_changed_nothing_is_not_undone(m365: Sandbox, runner: Worker) -> None:
    tenant, idle = await done(m365, NOOP)
    assert await refused(tenant, idle.id) == "nothing_to_undo"
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
    tenant, asking = await done(m365, ask, disable("step", ZOE))
    await runs.cancel(tenant.engineer, asking.id)
    await wait_for(tenant.engineer, asking.id)
    assert await refused(tenant, asking.id) == "nothing_to_undo", "it was cancelled before it wrote"
    tenant, none = await done(m365, disable("step", ZOE), disable("same", ZOE))
    undo = await wait_for(tenant.engineer, await runs.undo(tenant.engineer, none.id))
    assert [step.node for step in undo.steps] == ["step"], "what found all as it should be is not taken back"


async def test_a_batch_of_which_no_row_did_anything_is_not_undone(m365: Sandbox, runner: Worker) -> None:
    tenant = await make_tenant({"rules": [{"risk": "low", "roles": ["approver"], "count": 1}]})
    await tenant.connect(m365)
    inputs = {"type": "object", "properties": {"user": {"type": "string"}}, "required": ["user"]}
    flow = await tenant.publish(chain("Rows", disable("step", "{{ inputs.user }}"), inputs=inputs))
    batch_id = await runs.start_batch(tenant.engineer, workflow=flow.id, rows=[{"user": ZOE}], mode="apply")
    asked = await wait_for_question(tenant.engineer, batch_id)
    await approvals.decide(tenant.approver, asked.id, decision="deny", seal=asked.seal, reason="no", mfa=True)
    await wait_for(tenant.engineer, batch_id)
    assert await refused(tenant, batch_id) == "nothing_to_undo"


async def test_a_batch_is_not_undone_beside_one_of_its_rows(m365: Sandbox, runner: Worker) -> None:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    inputs = {"type": "object", "properties": {"user": {"type": "string"}}, "required": ["user"]}
    flow = await tenant.publish(chain("Rows", disable("step", "{{ inputs.user }}"), inputs=inputs))
    rows = [{"user": ZOE}, {"user": LIAM}]
    batch = await wait_for(
        tenant.engineer, await runs.start_batch(tenant.engineer, workflow=flow.id, rows=rows, mode="apply")
    )
    m365.control.fault("timeout", writes=True, when="after", seconds=120)
    row = await runs.undo(tenant.engineer, batch.runs[0].id)
    with pytest.raises(Stale) as why:
        await runs.undo(tenant.engineer, batch.id)
    assert (why.value.code, why.value.params) == ("undo_running", {"run": str(row)})
    m365.control.clear_faults()
    assert (await wait_for(tenant.engineer, row)).state == "succeeded"
    undo = await wait_for(tenant.engineer, await runs.undo(tenant.engineer, batch.id))
    assert (undo.state, len(changing(m365))) == ("succeeded", 4), "each is taken back once"


async def test_of_two_undos_at_once_there_is_one(web: TestStack, m365: Sandbox, runner: Worker) -> None:
    """Both are at the run itself at the same moment."""
    tenant, first = await done(m365, disable("step", ZOE))
    with psycopg.connect(web.superuser_dsn) as link, psycopg.connect(web.superuser_dsn, autocommit=True) as watch:
        link.execute("SELECT FROM runs WHERE id = %s FOR UPDATE", [first.id])
        asked = [asyncio.create_task(runs.undo(tenant.engineer, first.id)) for _ in range(2)]
        await asyncio.to_thread(wait_until, lambda: watch.execute(_WAITING).fetchone() == (2,), 30, "both to wait")
        link.rollback()
        found = await asyncio.gather(*asked, return_exceptions=True)
    [started] = [one for one in found if isinstance(one, UUID)]
    [denied] = [one for one in found if isinstance(one, Stale)]
    assert (denied.code, denied.params) == ("undo_running", {"run": str(started)})
    await wait_for(tenant.engineer, started)


async def test_an_undo_that_failed_half_way_is_finished_by_another(m365: Sandbox, runner: Worker) -> None:
    before = m365.control.dump()
    tenant, run = await done(m365, disable("first", ZOE), disable("second", LIAM))
    m365.control.fault("error", writes=True, every=2, status=403, code="Authorization_RequestDenied")
    half = await wait_for(tenant.engineer, await runs.undo(tenant.engineer, run.id))
    assert {step.node: step.state for step in half.steps} == {"second": "succeeded", "first": "failed"}
    assert len(changing(m365)) == 3

    rest = await waiting(tenant.engineer, await runs.undo(tenant.engineer, run.id))
    kinds = {step["node"]: step["change"]["kind"] for step in rest.plan}
    assert kinds == {"second": "none", "first": "update"}, "what was taken back already is seen as that"
    assert (rest.state, rest.reason) == ("succeeded", None)
    assert m365.control.dump() == before
    assert len(changing(m365)) == 4, "nothing was taken back twice"

    await runs.start(tenant.engineer, workflow=run.workflow_id, mode="apply")
    with pytest.raises(Stale) as again:
        await runs.retry(tenant.engineer, half.id)
    assert (again.value.code, again.value.params) == ("undo_superseded", {"run": str(rest.id)})
