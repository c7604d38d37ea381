"""A client's limits through the gateway: shown, set whole, refused field by field, audited."""

from __future__ import annotations

import httpx
import psycopg
import pytest

from app.services import auth
from tests.servers import TestStack
from tests.stack.people import World, sign_in

pytestmark = pytest.mark.usefixtures("calm")


@pytest.fixture
async def owner(web: TestStack, world: World) -> dict[str, str]:
    signed = await sign_in(web.superuser_dsn, world.staff["owner"])
    made = await auth.create_token(await auth.resolve_session(signed.token), name="limits")
    return {"Authorization": f"Bearer {made.token}"}


async def test_limits_are_set_whole(web: TestStack, world: World, http: httpx.AsyncClient, owner) -> None:
    address = f"/api/v1/clients/{world.one.slug}/limits"
    nothing = {"max_running": None, "starts_per_minute": None, "history_days": None, "history_days_default": 400}
    assert (await http.get(address, headers=owner)).json() == nothing
    answer = await http.put(address, headers=owner, json={"max_running": 4, "starts_per_minute": 30})
    assert answer.json() == {**nothing, "max_running": 4, "starts_per_minute": 30}
    assert (await http.put(address, headers=owner, json={"history_days": 30})).json() == {**nothing, "history_days": 30}
    with psycopg.connect(web.superuser_dsn) as link:
        rows = link.execute(
            "SELECT details -> 'after' FROM audit_events WHERE action = 'client_limits_updated' AND client_id = %s"
            " ORDER BY seq",
            [world.one.id],
        ).fetchall()
    assert [row[0]["max_running"] for row in rows] == [4, None]


async def test_each_wrong_number_is_named(world: World, http: httpx.AsyncClient, owner) -> None:
    address = f"/api/v1/clients/{world.one.slug}/limits"
    before = (await http.get(address, headers=owner)).json()
    answer = await http.put(address, headers=owner, json={"max_running": 0, "starts_per_minute": -1, "history_days": 9})
    assert answer.status_code == 422
    assert {(each["field"], each["code"]) for each in answer.json()["errors"]} == {
        ("max_running", "out_of_range"),
        ("starts_per_minute", "out_of_range"),
    }
    assert (await http.get(address, headers=owner)).json() == before
