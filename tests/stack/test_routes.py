"""Every route of the API, over real HTTP, by whoever must not: unsigned, with a revoked session, in the lowest role, as
another client's owner. The database is dumped before and after; nothing may differ."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import psycopg
import pytest

from app.api.main import create_api
from app.core.ids import new_id
from app.core.settings import get_settings
from app.services import accounts, auth, clients
from app.services.permissions import LOWEST_ROLE
from tests.servers import TestStack
from tests.stack.people import World, sign_in
from tests.stack.routes import ALL, BODIES, GUARDED, PUBLIC, Target, signed

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
