"""The inside of the health page: for staff of the MSP, and of each client only what they may see there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest

from app.core.context import Actor
from app.core.errors import Forbidden
from app.core.ids import new_id
from app.core.process import code_version
from app.data import doors
from app.services import accounts, auth, clients, health, runs, workflows
from tests.servers import TestStack
from tests.stack.people import World, sign_in
from tests.stack.test_gateway import bearer

DOCUMENT = {
    "schema": "opsloom/workflow@1",
    "name": "Held",
    "nodes": [{"id": "look", "type": "flow.log", "name": "Look around", "params": {"message": "m"}}],
}


@pytest.fixture
async def held(web: TestStack, world: World) -> AsyncIterator[dict[str, str]]:
    """A run in each client, in the hands of a worker that does the step ``look``."""
    found = {}
    for client in (world.one, world.two):
        owner = clients.system_context("setup", client.id, client.slug)
        flow = await workflows.import_document(owner, document={**DOCUMENT, "name": f"Held {new_id().hex[-8:]}"})
        found[client.slug] = str(await runs.start(owner, workflow=flow.id, mode="plan"))
    worker = new_id()
    async with await psycopg.AsyncConnection.connect(web.dsn("worker"), autocommit=True) as link:
        await doors.register_worker(link, worker, "there-1", "worker", 60, code_version())
        claimed = {str(one.run_id): one for one in await doors.claim_runs(link, worker, 100)}
        with psycopg.connect(web.superuser_dsn, autocommit=True) as superuser:
            for run_id in found.values():
                superuser.execute(
                    "INSERT INTO step_events (client_id, run_id, seq, node, kind, attempt)"
                    " SELECT %s, %s, n, %s, %s, 1 FROM (VALUES (1)) v (n)",
                    [claimed[run_id].client_id, run_id, "look", "intended"],
                )
        yield found
        await doors.drop_worker(link, worker)


async def staff(world: World, role: str) -> Actor:
    """Somebody with a role in the MSP itself and the same in the first client."""
    msp = clients.system_context("setup", world.msp.id, world.msp.slug)
    person = await accounts.create(msp, email=f"{new_id().hex[-8:]}@msp.example", name="Staff", role=role)
    await accounts.grant(clients.system_context("setup", world.one.id, world.one.slug), email=person.email, role=role)
    return Actor(account_id=person.id, email=person.email, name=person.name)


async def test_staff_see_workers_and_the_runs_of_their_own_clients(world: World, held: dict[str, str]) -> None:
    engineer = await staff(world, "engineer")
    found = await health.status(engineer)
    # Another test may have renamed the client.
    names = {one.slug: one.name for one in await clients.clients_of(engineer)}
    [worker] = [one for one in found.workers if one.name == "there-1"]
    assert (worker.state, worker.code) == ("alive", found.code)
    assert worker.holds >= 2
    named = {str(one.run): one for one in worker.runs}
    mine = named[held[world.one.slug]]
    assert (mine.client, mine.client_name, mine.step) == (world.one.slug, names[world.one.slug], "Look around")
    assert mine.step_since is not None
    assert held[world.two.slug] not in named
    queues = {one.client: one for one in found.clients}
    assert queues[world.one.slug].running >= 1
    assert world.two.slug not in queues
    others = queues[None]
    assert others.name == ""
    assert others.clients >= 1
    assert others.running >= 1
    assert held[world.two.slug] not in found.model_dump_json()
    assert world.two.name not in found.model_dump_json()


async def test_a_role_without_runs_there_sees_numbers_only(world: World, held: dict[str, str]) -> None:
    person = await staff(world, "engineer")
    one = clients.system_context("setup", world.one.id, world.one.slug)
    await accounts.grant(one, email=person.email, role="portal")
    found = await health.status(person)
    assert held[world.one.slug] not in found.model_dump_json()
    assert world.one.slug not in {queue.client for queue in found.clients}


@pytest.mark.parametrize("role", ["approver", "helpdesk", "viewer", "portal"])
async def test_other_staff_may_not(world: World, role: str) -> None:
    with pytest.raises(Forbidden):
        await health.status(await staff(world, role))


async def test_who_owns_a_client_only_may_not(world: World) -> None:
    with pytest.raises(Forbidden):
        await health.status(world.actor("owner"))


@pytest.mark.usefixtures("calm")
async def test_the_route_gives_the_same(
    web: TestStack, world: World, http: httpx.AsyncClient, held: dict[str, str]
) -> None:
    boss = await auth.resolve_session((await sign_in(web.superuser_dsn, world.boss)).token)
    token = (await auth.create_token(boss, name="health")).token
    answer = await http.get("/api/v1/health", headers=bearer(token))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert {part["name"] for part in told["parts"]} == {"postgres", "redis", "vault", "workers"}
    [worker] = [one for one in told["workers"] if one["name"] == "there-1"]
    assert {one["run"] for one in worker["runs"]} >= set(held.values())
    narrow = (await auth.create_token(boss, name="one only", clients=[world.one.id])).token
    assert (await http.get("/api/v1/health", headers=bearer(narrow))).status_code == 403
    assert (await http.get("/readyz")).json().keys() == {"ready", "parts"}
