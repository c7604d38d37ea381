"""A worker whose clock is hours wrong does its work as the others do, and counts by the database's clock."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.core.clock import utcnow
from app.core.ids import new_id
from app.data.routing import Database
from app.engine.runtime import dispatch
from app.engine.runtime.dispatch import Dispatch
from app.services import approvals, runs
from connectors.testing import Sandbox
from tests.chaos.storm import ClockMover
from tests.engine.kit import (
    NO_POLICY,
    Workers,
    chain,
    changing,
    make_tenant,
    off_loop,
    wait_for,
    wait_for_question,
    wait_until,
    waiting,
)
from tests.servers import TestStack

Json = dict[str, Any]
RENEE = {"user_principal_name": "renee@sandbox.example", "display_name": "Renée", "usage_location": "FR"}
HOURS = 36_000
# Further back, the simulator's certificate would not be valid yet.
MINUTES = 2_400
TIMEOUT_S = 60
ZOE = "zoe@sandbox.example"


@pytest.mark.chaos
@pytest.mark.skipif(not ClockMover.there, reason="faketime is not installed (apt-get install faketime)")
@pytest.mark.parametrize("seconds", [HOURS, -MINUTES])
async def test_a_wrong_clock_changes_nothing(seconds: int, m365: Sandbox, workers: Workers) -> None:
    workers.more = ClockMover.environment(seconds)
    await off_loop(workers.start)
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    wait: Json = {"id": "wait", "type": "flow.wait", "params": {"amount": 1, "unit": "seconds"}}
    create: Json = {"id": "create", "type": "m365.user.create", "connection": "m365", "params": RENEE, "timeout_s": 15}
    flow = await tenant.publish(chain("Wrong clock", wait, create))
    m365.control.clear_log()
    m365.control.fault("drop", writes=True)
    before = utcnow()
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    run = await wait_for(tenant.engineer, run_id, seconds=60)
    assert run.state == "succeeded", (run.reason, [(step.node, step.error) for step in run.steps])
    assert len(changing(m365)) == 1
    assert run.finished_at is not None
    assert timedelta() < run.finished_at - before < timedelta(hours=1), "the database says when"


@pytest.mark.chaos
@pytest.mark.skipif(not ClockMover.there, reason="faketime is not installed (apt-get install faketime)")
@pytest.mark.parametrize("seconds", [HOURS, -MINUTES])
async def test_a_clock_set_in_the_middle_of_a_walk_moves_no_deadline(
    seconds: int, m365: Sandbox, workers: Workers, web: TestStack, tmp_path: Path
) -> None:
    """A question with an hour to answer was asked before, an intent is recorded after; neither runs out at once."""
    clock = tmp_path / "clock"
    workers.more = ClockMover.movable(clock)
    await off_loop(workers.start)
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    first: Json = {"id": "create", "type": "m365.user.create", "connection": "m365", "params": RENEE}
    disable: Json = {"id": "disable", "type": "m365.user.disable", "connection": "m365", "params": {"user": ZOE}}
    document = chain("Clock set", {"id": "begin", "type": "flow.noop"}, first, {**disable, "timeout_s": TIMEOUT_S})
    document["nodes"].append({"id": "ask", "type": "flow.approval", "params": {"title": "Go?", "deadline_hours": 1}})
    document["edges"].append({"source": "begin", "target": "ask"})
    flow = await tenant.publish(document)
    m365.control.clear_log()
    m365.control.fault("slow", writes=True, seconds=5)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    await off_loop(wait_until, m365.control.writes, 30, "the first write to arrive")
    asked = await wait_for_question(tenant.engineer, run_id, node="ask")
    ClockMover.move(clock, seconds)
    run = await waiting(tenant.engineer, run_id)
    assert (run.state, {step.node: step.state for step in run.steps}["disable"]) == ("waiting", "succeeded"), run.reason
    assert [found.state for found in run.approvals] == ["open"], "its hour is not over"
    query = (
        "SELECT (payload ->> 'deadline')::timestamptz - at FROM step_events"
        " WHERE run_id = %s AND node = 'disable' AND kind = 'intended'"
    )
    with psycopg.connect(web.superuser_dsn) as link:
        ((left,),) = link.execute(query, (run_id,)).fetchall()
    assert timedelta(seconds=TIMEOUT_S - 10) < left < timedelta(seconds=TIMEOUT_S + 10)
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"


@pytest.mark.chaos
async def test_a_run_given_back_by_a_wrong_clock_is_not_put_off(
    web: TestStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk that broke, and a claim whose answer was lost, give their run back; it is ready when the database says."""
    monkeypatch.setattr(dispatch, "utcnow", lambda: utcnow() + timedelta(seconds=HOURS), raising=False)
    tenant = await make_tenant(NO_POLICY)
    flow = await tenant.publish(chain("Given back", {"id": "n", "type": "flow.noop"}))
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    database = Database(web.dsn("worker"))
    mine = Dispatch(database.links(), new_id())
    await mine.register("somebody", 60)
    for give_back in (mine.release, lambda claim, **_: mine.let_go(claim.client_id, claim.run_id)):
        (claim,) = [found.claim for found in await mine.claim(32) if found.claim.run_id == run_id]
        await give_back(claim, retry_after_s=0)
        with psycopg.connect(web.superuser_dsn) as link:
            query = "SELECT ready_at <= now() + interval '1 minute' FROM run_queue WHERE run_id = %s"
            assert link.execute(query, (run_id,)).fetchone() == (True,)
    await database.dispose()
