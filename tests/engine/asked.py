"""A policy that asks for every write, and what people answer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.core.context import Actor, Context
from app.services import accounts, approvals, clients, runs
from app.services.run_views import ApprovalView
from connectors.testing import Sandbox
from tests.engine.kit import OVER, Tenant, chain, changing, make_tenant, wait_for_question

Json = dict[str, Any]
LIAM = "liam.o'connor@sandbox.example"
ZOE = "zoe@sandbox.example"
EVERY_WRITE: Json = {"rules": [{"risk": "low", "roles": ["approver"], "count": 1}]}
ASK = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
FAIL = {"id": "fail", "type": "flow.fail", "params": {"message": "It does not go on."}}


def look(user: str = LIAM) -> Json:
    return {"id": "look", "type": "m365.user.get", "connection": "m365", "params": {"user": user}}


def update(department: str = "Legal", node: str = "step", user: str = LIAM) -> Json:
    params = {"user": user, "department": department}
    return {"id": node, "type": "m365.user.update", "connection": "m365", "params": params}


async def tenant_of(m365: Sandbox, policy: Json = EVERY_WRITE) -> Tenant:
    tenant = await make_tenant(policy)
    await tenant.connect(m365)
    m365.control.clear_log()
    return tenant


async def begun(tenant: Tenant, *nodes: Json, **more: Any) -> UUID:
    flow = await tenant.publish(chain("Walk", *nodes))
    return await runs.start(tenant.engineer, workflow=flow.id, mode="apply", **more)


async def yes(ctx: Context, asked: ApprovalView, seal: str | None = None) -> ApprovalView:
    return await approvals.decide(ctx, asked.id, decision="approve", seal=seal or asked.seal, mfa=True)


async def agreed(tenant: Tenant, run_id: UUID, **more: Any) -> ApprovalView:
    """Answer the run's question with yes."""
    asked = await wait_for_question(tenant.engineer, run_id, **more)
    await yes(tenant.approver, asked)
    return asked


async def stands_still(m365: Sandbox, tenant: Tenant, run_id: UUID, writes: int = 0, **more: Any) -> ApprovalView:
    """The run asks, and as long as nobody answers it has written nothing more."""
    asked = await wait_for_question(tenant.engineer, run_id, **more)
    assert len(changing(m365)) == writes
    assert (await runs.get(tenant.engineer, run_id)).state not in OVER
    return asked


async def person(tenant: Tenant, role: str) -> Context:
    """Somebody else with this role."""
    here = clients.system_context("setup", tenant.client_id, tenant.owner.client_slug)
    made = await accounts.create(here, email=f"x-{role}-{tenant.client_id}@test.example", name="Other", role=role)
    return await clients.enter(Actor(account_id=made.id, email=made.email, name=made.name), here.client_slug)
