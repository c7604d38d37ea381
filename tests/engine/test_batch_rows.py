"""The rows of a batch, looked at some at a time; and a batch that sees by itself that they are over."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from app.core.errors import Missing
from app.services import runs, start_tables
from app.services.inputs import CheckedRow, check_rows
from app.services.start_keys import Mode
from connectors.testing import Sandbox
from tests.engine.kit import NO_POLICY, Tenant, Worker, chain, make_tenant, wait_for, waiting
from tests.servers import TestStack

INPUTS = {"type": "object", "properties": {"email": {"type": "string"}, "bad": {"type": "boolean", "default": False}}}
FAILS = {"id": "fails", "type": "flow.fail", "params": {"message": "No."}}
IF_BAD = {"id": "if_bad", "type": "flow.condition", "params": {"expression": "inputs.bad"}, "_port": "true"}

END_SESSIONS = {
    "id": "end",
    "type": "m365.user.revoke_sessions",
    "connection": "m365",
    "params": {"user": "{{ inputs.email }}"},
}


def some_bad() -> dict[str, Any]:
    return chain("Some bad", IF_BAD, FAILS, inputs=INPUTS)


@pytest.fixture
async def tenant() -> Tenant:
    return await make_tenant(NO_POLICY)


async def started(tenant: Tenant, document: dict[str, Any], rows: list[dict[str, Any]], mode: Mode = "apply") -> Any:
    flow = await tenant.publish(document)
    return await runs.start_batch(tenant.engineer, workflow=flow.id, rows=rows, mode=mode)


async def test_rows_are_found_by_state_and_words_and_come_in_pages(tenant: Tenant, runner: Worker) -> None:
    rows = [{"email": f"p{number}@Contoso.example", "bad": number in (2, 5)} for number in range(1, 8)]
    batch = await started(tenant, some_bad(), rows)
    await wait_for(tenant.engineer, batch)

    async def numbers(**asked: Any) -> list[int | None]:
        return [row.row_number for row in await runs.rows_of(tenant.engineer, batch, **asked)]

    assert await numbers() == [1, 2, 3, 4, 5, 6, 7]
    assert await numbers(limit=3) == [1, 2, 3]
    assert await numbers(after=3, limit=3) == [4, 5, 6]
    assert await numbers(state=["failed"]) == [2, 5]
    assert await numbers(state=["failed", "succeeded"], after=5) == [6, 7]
    assert await numbers(search="contoso P3") == [3]
    assert await numbers(search="%") == [], "what is typed is no pattern"
    assert await numbers(search="p", state=["failed"], after=2, limit=5) == [5]


async def test_a_batch_tells_how_many_rows_are_in_which_state_without_them(tenant: Tenant, runner: Worker) -> None:
    batch = await started(tenant, some_bad(), [{"email": f"p{n}@c.example", "bad": n > 2} for n in range(5)])
    whole = await wait_for(tenant.engineer, batch)
    lean = await runs.get(tenant.engineer, batch, rows=False)
    assert (len(whole.runs), lean.runs, lean.plan) == (5, (), ())
    assert lean.row_states == whole.row_states == {"succeeded": 3, "failed": 2}
    assert lean.progress == {"rows": 5, "over": 5, "succeeded": 3, "failed": 2}
    assert lean.reason == {"code": "rows_not_done", "count": 2}
    assert lean.summary["rows"] == 5


async def test_what_would_change_counts_no_row_that_is_refused_and_begins_with_what_cannot_be_undone(
    tenant: Tenant, runner: Worker, m365: Sandbox
) -> None:
    await tenant.connect(m365)
    create = {
        "id": "create",
        "type": "m365.user.create",
        "connection": "m365",
        "params": {
            "user_principal_name": "{{ inputs.email }}",
            "display_name": "{{ inputs.email }}",
            "usage_location": "FR",
        },
    }
    rows = [{"email": f"steps{n}@sandbox.example"} for n in range(3)] + [{"email": "x@elsewhere.example"}]
    batch = await started(tenant, chain("Steps", create, END_SESSIONS, inputs=INPUTS), rows, "plan")
    whole = await wait_for(tenant.engineer, batch)
    found = await runs.row_steps(tenant.engineer, batch, 10)
    assert [step["node"] for step in found] == [
        *("1:end", "2:end", "3:end"),
        *("1:create", "2:create", "3:create"),
    ]
    by_node = {step["node"]: step for step in whole.plan}
    assert all(by_node[step["node"]] == step for step in found)
    assert [step["node"] for step in await runs.row_steps(tenant.engineer, batch, 2)] == ["1:end", "2:end"]
    assert (whole.summary["add"], whole.summary["irreversible"], whole.summary["problems"]) == (3, 3, 2)
    assert (whole.summary["rows"], whole.summary["refused"]) == (4, 1)
    other = await make_tenant(NO_POLICY)
    assert await runs.row_steps(other.engineer, batch, 10) == [], "another client sees nothing of it"


async def test_nobody_sees_rows_of_another_client(tenant: Tenant, runner: Worker) -> None:
    other = await make_tenant(NO_POLICY)
    batch = await started(tenant, some_bad(), [{"email": "p@c.example"}], "plan")
    await wait_for(tenant.engineer, batch)
    with pytest.raises(Missing):
        await runs.rows_of(other.engineer, batch)
    with pytest.raises(Missing):
        await runs.get(other.engineer, batch, rows=False)


async def test_many_rows_are_checked_beside_the_loop_that_serves_everybody(
    tenant: Tenant, runner: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def seen(*asked: Any) -> list[CheckedRow]:
        threads.append(threading.current_thread())
        return check_rows(*asked)

    monkeypatch.setattr(start_tables, "check_rows", seen)
    flow = await tenant.publish(some_bad())
    rows = [{"email": f"p{number}@c.example"} for number in range(500)]
    assert len(await runs.check_table(tenant.engineer, workflow=flow.id, rows=rows)) == 500
    await runs.start_batch(tenant.engineer, workflow=flow.id, rows=rows, mode="plan")
    assert len(threads) == 2
    assert threading.main_thread() not in threads


async def test_a_batch_that_nobody_called_sees_by_itself_that_its_rows_are_over(
    tenant: Tenant, web: TestStack, runner: Worker
) -> None:
    """As where the worker dies between the end of the last row and its call."""
    long = {"id": "long", "type": "flow.wait", "params": {"amount": 1, "unit": "hours"}}
    batch = await started(tenant, chain("Waits", long, inputs=INPUTS), [{"email": "p@c.example"}])
    while not (row := (await runs.rows_of(tenant.engineer, batch))[0]).seal or row.state != "waiting":
        await waiting(tenant.engineer, row.id)
    with psycopg.connect(web.superuser_dsn) as link:
        link.execute("UPDATE runs SET state = 'succeeded', finished_at = now() WHERE id = %s", [row.id])
        link.execute("DELETE FROM run_queue WHERE run_id = %s", [row.id])
    assert (await wait_for(tenant.engineer, batch)).state == "succeeded"
