"""Every route of the API, over real HTTP, by whoever must not: unsigned, with a revoked session, in the lowest role, as
another client's owner. The database is dumped before and after; nothing may differ."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
from fastapi.routing import iter_route_contexts

from app.api.main import create_api
from app.core.ids import new_id
from app.core.settings import get_settings
from app.data.models.approvals import Approval
from app.data.models.forms import Form
from app.data.session import tenant_session
from app.services import accounts, auth, clients, connections, runs, triggers, waves, workflows
from app.services.permissions import LOWEST_ROLE
from tests.servers import TestStack
from tests.stack.people import World, sign_in
from tests.stack.platforms import M365
from tests.stack.test_reveals import secret

# Routes that ask nobody who they are. Adding one here is a decision; tests/stack/test_gateway.py says what each gives.
PUBLIC = {
    "GET /healthz", "GET /readyz", "GET /metrics", "GET /api/v1/docs", "POST /api/v1/auth/token",
    "POST /api/v1/auth/sign-in", "POST /api/v1/auth/sign-out", "GET /reveal/{token}", "POST /reveal/{token}",
    "POST /api/v1/hooks/{token}",
}  # fmt: skip
# What anybody who is signed in may do: their own affairs, and what is nobody's in particular.
OWN = {
    "GET /api/v1/auth/me", "POST /api/v1/auth/password", "GET /api/v1/auth/tokens", "POST /api/v1/auth/tokens",
    "DELETE /api/v1/auth/tokens/{token_id}", "GET /api/v1/auth/sessions", "DELETE /api/v1/auth/sessions/{session_id}",
    "GET /api/v1/clients", "GET /api/v1/runs", "GET /api/v1/actions", "GET /api/v1/platforms",
}  # fmt: skip
# What is of no client: the health of the system is for staff of the MSP (tests/stack/test_health.py).
SYSTEM = {"GET /api/v1/health"}
# What the lowest role may do inside its client.
LOWEST = {"GET /api/v1/clients/{client}", "GET /api/v1/clients/{client}/limits"}
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


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
async def thief(web: TestStack, world: World) -> dict[str, str]:
    """The owner of the second client, who has nothing to do with the first."""
    two = clients.system_context("setup", world.two.id, world.two.slug)
    made = await accounts.create(two, email=f"thief-{new_id()}@two.example", name="Thief", role="owner")
    return signed(await sign_in(web.superuser_dsn, made))


@pytest.fixture(scope="module")
async def lowest(web: TestStack, world: World) -> dict[str, str]:
    return signed(await sign_in(web.superuser_dsn, world.staff[LOWEST_ROLE]))


@pytest.fixture(scope="module")
async def revoked(web: TestStack, world: World) -> dict[str, str]:
    found = await sign_in(web.superuser_dsn, world.boss)
    await auth.sign_out(found.token)
    return signed(found)


def signed(session: auth.SignedIn) -> dict[str, str]:
    """Headers as a page of ours would send them."""
    return {"Cookie": f"{auth.SESSION_COOKIE}={session.token}", "Origin": get_settings().base_url}


@pytest.fixture
async def caller(address: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client:
        yield client


async def call(caller: httpx.AsyncClient, name: str, path: str, headers: dict[str, str]) -> httpx.Response:
    route, method = ALL[name], name.partition(" ")[0]
    body = BODIES.get(route.name)
    assert body is not None or not (route.body_field and route.body_field.field_info.is_required()), (
        f"give {name} an example body in BODIES"
    )
    return await caller.request(method, path, json=body, headers=headers)


def dump(stack: TestStack) -> dict[str, str]:
    """A digest of every table, without the columns that say when somebody was last seen."""
    seen = "ARRAY['last_seen_at', 'expires_at', 'last_used_at']"
    found = {}
    with psycopg.connect(stack.superuser_dsn) as link:
        tables = link.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"
        ).fetchall()
        for (table,) in tables:
            rows = link.execute(f"SELECT (to_jsonb(t) - {seen})::text FROM {table} t ORDER BY 1").fetchall()
            found[table] = hashlib.sha256("\n".join(row[0] for row in rows).encode()).hexdigest()
    assert len(found) > 15
    return found


def test_the_lists_name_routes_that_there_are() -> None:
    assert set(ALL) >= (PUBLIC | OWN | SYSTEM | LOWEST)
    assert len(ALL) > 45
    described = {
        f"{method.upper()} {path}" for path, item in create_api().openapi()["paths"].items() for method in item
    }
    assert described <= set(ALL)
    assert {name for name in GUARDED if "{client}" not in name} == OWN | SYSTEM


def test_every_guarded_route_asks_who_it_is() -> None:
    """Read off the dependencies, so that a route that forgets shows even where its answer looks right."""
    from app.api.who import client_context, current_actor

    def asks(dependant: Any) -> bool:
        return dependant.call in (current_actor, client_context) or any(asks(each) for each in dependant.dependencies)

    assert {name for name, route in ALL.items() if not asks(route.dependant)} == PUBLIC


async def test_the_things_are_really_there(web: TestStack, world: World, target: Target, caller) -> None:
    """Otherwise the refusals below would prove nothing."""
    headers = signed(await sign_in(web.superuser_dsn, world.staff["owner"]))
    for name, route in GUARDED.items():
        if name.startswith("GET") and not name.endswith("/events") and name not in SYSTEM:
            answer = await call(caller, name, target.path(route), headers)
            assert answer.status_code == 200, (name, answer.text)


@pytest.mark.parametrize("who", ["unsigned", "revoked"])
async def test_who_is_not_signed_in_gets_nothing(web, target: Target, caller, revoked, who: str) -> None:
    headers = {"Origin": get_settings().base_url} if who == "unsigned" else revoked
    before = dump(web)
    answers = {name: await call(caller, name, target.path(route), headers) for name, route in GUARDED.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(GUARDED, 401)
    assert {answer.headers["content-type"] for answer in answers.values()} == {"application/problem+json"}
    assert dump(web) == before


async def test_the_list_over_all_clients_shows_each_their_own(
    web, world, target: Target, caller, thief, lowest
) -> None:
    """Nothing to whoever may not read the runs of a client, and nothing of a client that one is no member of."""
    boss = signed(await sign_in(web.superuser_dsn, world.boss))
    everything = [await caller.get("/api/v1/runs", headers=who) for who in (boss, lowest, thief)]
    assert [answer.status_code for answer in everything] == [200, 200, 200]
    clients_of = [{run["client_slug"] for run in answer.json()} for answer in everything]
    assert target.ids["client"] in clients_of[0]
    assert clients_of[1] == set()
    assert target.ids["client"] not in clients_of[2]
    refused = await caller.get("/api/v1/runs", params={"client": target.ids["client"]}, headers=thief)
    assert refused.status_code == 404


async def test_the_lowest_role_does_nothing_but_see_its_client(web, target: Target, caller, lowest) -> None:
    before = dump(web)
    wanted = {name for name in GUARDED if name not in OWN}
    found = {name: (await call(caller, name, target.path(ALL[name]), lowest)).status_code for name in wanted}
    assert found == {name: 200 if name in LOWEST else 403 for name in wanted}
    assert dump(web) == before


async def test_another_clients_owner_finds_nothing_there(web, target: Target, caller, thief) -> None:
    before = dump(web)
    wanted = {name for name in GUARDED if name not in OWN}
    found = {name: (await call(caller, name, target.path(ALL[name]), thief)).status_code for name in wanted}
    assert found == {name: 403 if name in SYSTEM else 404 for name in wanted}
    assert dump(web) == before


async def test_nor_under_the_name_of_their_own_client(web, world: World, target: Target, caller, thief) -> None:
    """The ids of one client, asked for inside another of which one is the owner."""
    before = dump(web)
    inside = {name for name in GUARDED if "{client}/" in name and name.count("{") > 1}
    assert len(inside) > 20
    for name in sorted(inside):
        answer = await call(caller, name, target.path(ALL[name], client=world.two.slug), thief)
        assert answer.status_code == 404, (name, answer.status_code, answer.text)
    assert dump(web) == before


async def test_a_token_of_one_client_opens_no_other(web, world: World, target: Target, caller) -> None:
    actor = await auth.resolve_session((await sign_in(web.superuser_dsn, world.boss)).token)
    token = (await auth.create_token(actor, name="two only", clients=[world.two.id])).token
    headers = {"Authorization": f"Bearer {token}"}
    before = dump(web)
    for name in sorted(name for name in GUARDED if name not in OWN):
        answer = await call(caller, name, target.path(ALL[name]), headers)
        assert answer.status_code == (403 if name in SYSTEM else 404), (name, answer.text)
    assert (await caller.post("/api/v1/auth/tokens", json={"name": "wider"}, headers=headers)).status_code == 403
    assert dump(web) == before


async def test_the_dump_sees_a_change(web: TestStack, world: World, target: Target) -> None:
    before = dump(web)
    await clients.update(await world.context("owner"), name="Harbour & Co")
    assert {table for table, digest in dump(web).items() if before[table] != digest} == {
        "clients", "audit_events", "audit_heads"
    }  # fmt: skip
