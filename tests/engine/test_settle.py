"""A person says what became of a step that nobody else can tell of, and what it gave to later ones."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.core.context import Actor, Context
from app.core.errors import Forbidden, Invalid, Stale
from app.core.ids import new_id
from app.engine.runtime.stage import reader_of
from app.services import accounts, approvals, clients, connections, runs
from connectors.testing import Sandbox
from tests.engine.kit import Tenant, Worker, chain, changing, make_tenant, off_loop, wait_for, wait_for_question
from tests.engine.test_course import RENEE, strip_mark

Json = dict[str, Any]
POLICY: Json = {"rules": [{"actions": ["m365.*"], "roles": ["approver"]}]}


async def unknown(m365: Sandbox, *, then: Json) -> tuple[Tenant, UUID]:
    """A run whose first step made an account or did not: its mark is gone, and ``then`` follows."""
    tenant = await make_tenant(POLICY)
    await tenant.connect(m365)
    create = {"id": "create", "type": "m365.user.create", "connection": "m365", "params": RENEE}
    flow = await tenant.publish(chain("Settled", create, then))
    m365.control.fault("timeout", writes=True, seconds=12)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    await agree(tenant, await wait_for_question(tenant.engineer, run_id))
    await off_loop(m365.control.wait_for_write, "", seconds=20)
    await strip_mark(m365)
    m365.control.clear_faults()
    run = await wait_for(tenant.engineer, run_id, ("waiting", "failed", "succeeded"))
    assert (run.state, run.reason and run.reason["code"]) == ("waiting", "unknown"), run.reason
    return tenant, run_id


async def agree(tenant: Tenant, asked: Any) -> None:
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)


async def what_is_there(tenant: Tenant) -> Json:
    """What the step would have given, as a person finds it on the platform."""
    client: Any = await connections.open_client(tenant.owner, "m365")
    reader = reader_of("m365.user.get")
    found = await reader.read(client, reader.Params(user=RENEE["user_principal_name"]))
    await client.aclose()
    fields = {"id", "user_principal_name", "display_name", "account_enabled"}
    return {**found.model_dump(mode="json", include=fields), "created": True, "marker": None}


async def helper_of(tenant: Tenant) -> Context:
    """Somebody who may start runs, and draws no workflows."""
    person = await accounts.create(tenant.owner, email=f"{new_id().hex}@test.example", name="Help", role="helpdesk")
    actor = Actor(account_id=person.id, email=person.email, name=person.name)
    return await clients.enter(actor, tenant.owner.client_slug)


async def refused(ctx: Context, run_id: UUID, output: Json, outcome: str = "done") -> list[tuple[str, str | None]]:
    """The code and the field of everything that is wrong with the output."""
    with pytest.raises(Invalid) as wrong:
        await runs.settle(ctx, run_id, node="create", outcome=outcome, output=output)
    return [(problem.code, problem.field) for problem in wrong.value.problems]


async def test_what_a_person_says_that_a_step_gave_is_read_by_later_ones(m365: Sandbox, runner: Worker) -> None:
    """What was agreed to before counts for nothing then: another account could have been named."""
    params = {"user": "{{ steps.create.output.id }}", "department": "Legal"}
    update = {"id": "update", "type": "m365.user.update", "connection": "m365", "params": params}
    tenant, run_id = await unknown(m365, then=update)
    output = await what_is_there(tenant)
    lacking = {name: value for name, value in output.items() if name != "id"}
    assert await refused(tenant.engineer, run_id, lacking) == [("missing_field", "output.id")]
    assert await refused(tenant.engineer, run_id, {**output, "id": 7}) == [("wrong_type", "output.id")]
    assert await refused(tenant.engineer, run_id, output, "not_done") == [("output_of_undone", "output")]
    with pytest.raises(Stale):
        await runs.settle(tenant.engineer, run_id, node="update", outcome="done", output={})
    with pytest.raises(Forbidden) as forbidden:
        await runs.settle(await helper_of(tenant), run_id, node="create", outcome="done", output=output)
    assert forbidden.value.params["permission"] == "workflow.write"
    await runs.settle(tenant.engineer, run_id, node="create", outcome="done", output=output)
    asked = await wait_for_question(tenant.engineer, run_id, node="update")
    assert changing(m365) == [], "nothing is written before it is agreed to anew"
    await agree(tenant, asked)
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", (run.reason, [(step.node, step.error) for step in run.steps])
    assert next(step.output for step in run.steps if step.node == "create") == output
    assert [write["body"]["department"] for write in changing(m365)] == ["Legal"]
