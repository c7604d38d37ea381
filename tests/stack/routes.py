"""Every route of the API, a body for each that takes one, and one thing of each kind in a client, which their addresses
name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from app.api.main import create_api
from app.core.ids import new_id
from app.core.settings import get_settings
from app.data.models.approvals import Approval
from app.data.models.forms import Form
from app.data.session import tenant_session
from app.services import accounts, auth, clients, connections, runs, triggers, waves, workflows
from tests.stack.people import World
from tests.stack.platforms import M365
from tests.stack.test_reveals import secret

# Routes that ask nobody who they are. Adding one here is a decision; tests/stack/test_gateway.py says what each gives.
PUBLIC = {
    "GET /healthz", "GET /readyz", "GET /metrics", "GET /api/v1/docs", "POST /api/v1/auth/token",
    "POST /api/v1/auth/sign-in", "POST /api/v1/auth/sign-out", "GET /reveal/{token}", "POST /reveal/{token}",
    "POST /api/v1/hooks/{token}",
}  # fmt: skip
DOCUMENT = {"schema": "opsloom/workflow@1", "name": "W", "nodes": [{"id": "a", "type": "flow.noop"}]}
QUESTIONS = {"type": "object", "properties": {"name": {"type": "string"}}}
BODIES: dict[str, Any] = {
    "change_password": {"current": "x", "new": "y"},
    "create_token": {"name": "x"},
    "create_client": {"slug": "stolen", "name": "Stolen"},
    "update_client": {"name": "Stolen"},
    "update_policy": {"rules": []},
    "change_limits": {"max_running": 1},
    "create_member": {"email": "thief@evil.example", "name": "Thief", "role": "owner"},
    "grant": {"email": "thief@evil.example", "role": "owner"},
    "add": {"alias": "x", "platform": "m365", "name": "x", "config": {}},
    "update": {"name": "Stolen"},
    "choices": {"action": "m365.user.list"},
    "create": {"name": "Stolen", "document": DOCUMENT},
    "validate": {"document": DOCUMENT},
    "import_document": {"document": DOCUMENT},
    "save_draft": {"document": DOCUMENT, "revision": 1},
    "save_version": {"note": "stolen"},
    "publish": {"version": 1},
    "start": {"workflow": "Guarded", "mode": "apply"},
    "create_trigger": {"name": "Stolen", "kind": "schedule", "workflow": "Guarded", "config": {"cron": "0 0 * * *"}},
    "update_trigger": {"name": "Stolen"},
    "preview_schedule": {"cron": "0 0 * * *"},
    "start_wave": {"workflow": "Guarded", "to": ["harbour"]},
    "settle": {"node": "a", "outcome": "done"},
    "answer": {"answer": {}},
    "again": {"nodes": ["a"]},
    "decide": {"decision": "deny", "reason": "because", "seal": "s"},
}


@dataclass
class Target:
    """Things of one client, by the names that routes have for them."""

    ids: dict[str, str]

    def path(self, route: Any, **other: str) -> str:
        return route.path.format(**{**self.ids, **other})


def routes() -> Iterator[tuple[str, Any]]:
    """Every route with its dependencies, as ``METHOD path``; the description of the API itself aside."""
    for route in iter_route_contexts(create_api().routes):
        if getattr(route, "dependant", None) is not None:
            for method in sorted(route.methods - {"HEAD"}):
                yield f"{method} {route.path}", route


ALL = dict(routes())
GUARDED = {name: route for name, route in ALL.items() if name not in PUBLIC}


@pytest.fixture(scope="session")
async def target(world: World, simulated: M365) -> Target:
    """One of each thing, in the first client."""
    owner = await clients.enter(world.actor("owner"), world.one.slug)
    config = simulated.config("contoso")
    link = await connections.add(owner, alias="guarded", platform="m365", name="Guarded", config=config)
    flow = await workflows.create(owner, name="Guarded", document=DOCUMENT)
    await workflows.save_version(owner, flow.id)
    await workflows.publish(owner, flow.id, version=1)
    run_id = await runs.start(owner, workflow=flow.id, mode="plan")
    wave_id = await waves.start(owner, workflow=flow.id, mode="plan", to=[world.one.slug])
    hidden = await secret(owner)
    trigger = await triggers.create(owner, name="Guarded", kind="webhook", workflow=flow.id)
    approval = Approval(
        client_id=world.one.id, run_id=run_id, title="?", seal="s", rule={"roles": ["approver"], "count": 1}
    )
    form = Form(
        client_id=world.one.id, run_id=run_id, node="a", title="?", questions=QUESTIONS, rule={"roles": ["owner"]}
    )
    async with tenant_session(owner) as session:
        session.add(approval)
        session.add(form)
    local = await accounts.create(owner, email=f"local-{new_id()}@one.example", name="Local", role="viewer")
    return Target({
        "client": world.one.slug, "connection_id": str(link.id), "alias": "guarded", "workflow": str(flow.id),
        "version": "1", "run_id": str(run_id), "reveal_id": str(hidden.id), "approval_id": str(approval.id),
        "form_id": str(form.id),
        "account_id": str(local.id), "token_id": str(new_id()), "session_id": str(new_id()),
        "trigger_id": str(trigger.id), "wave_id": str(wave_id),
    })  # fmt: skip


def signed(session: auth.SignedIn) -> dict[str, str]:
    """Headers as a page of ours would send them."""
    return {"Cookie": f"{auth.SESSION_COOKIE}={session.token}", "Origin": get_settings().base_url}


@pytest.fixture
async def caller(address: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client:
        yield client
