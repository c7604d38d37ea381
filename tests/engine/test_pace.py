"""How fast a connection is asked: shared by all workers through Redis, and forgotten without harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from app.core.clock import utcnow
from app.core.ids import new_id
from app.engine.runtime.clients import Clients
from app.engine.runtime.pace import HeldBack, Lane, Pace
from app.engine.runtime.stage import reader_of
from app.services import approvals, connections, runs
from connectors.base import Rate
from connectors.errors import Throttled
from connectors.testing import Sandbox
from tests.engine.kit import NO_POLICY, Tenant, Worker, Workers, chain, make_tenant, wait_for
from tests.servers import TestStack

_LOOK = {"id": "look", "type": "m365.user.list", "connection": "m365", "params": {}}


@pytest.fixture
async def pair(web: TestStack) -> AsyncIterator[tuple[Pace, Pace]]:
    """The paces of two workers."""
    made = Pace(web.redis_url), Pace(web.redis_url)
    yield made
    for each in made:
        await each.aclose()


def lane(per_s: float = 0.01, burst: int = 3, client: UUID | None = None) -> Lane:
    return Lane(client or new_id(), new_id(), Rate(per_s, burst))


async def entered(pace: Pace, where: Lane) -> bool:
    try:
        await pace.enter(where, 0.0)
    except HeldBack:
        return False
    return True


async def test_all_workers_take_from_one_bucket(pair: tuple[Pace, Pace]) -> None:
    one, two = pair
    shared, other = lane(), lane()
    assert [await entered(pace, shared) for pace in (one, two, one, two, one)] == [True, True, True, False, False]
    assert await entered(one, other), "another connection has a bucket of its own"


async def test_places_taken_at_the_same_time_are_as_many_as_there_are(pair: tuple[Pace, Pace]) -> None:
    shared = lane(burst=7)
    found = await asyncio.gather(*(entered(pair[turn % 2], shared) for turn in range(40)))
    assert sum(found) == 7


async def test_whoever_waits_gets_the_next_place(pair: tuple[Pace, Pace]) -> None:
    fast = lane(per_s=50, burst=1)
    await asyncio.gather(*(pair[turn % 2].enter(fast, 5) for turn in range(10)))


async def test_a_throttled_connection_is_left_alone_by_everybody(pair: tuple[Pace, Pace]) -> None:
    one, two = pair
    where = lane(per_s=1000, burst=1000)

    async def refused() -> None:
        raise Throttled("Slow down.", retry_after=90)

    with pytest.raises(Throttled):
        await one.call(where, refused)
    with pytest.raises(HeldBack) as held:
        await two.call(where, refused)
    assert 80 < held.value.retry_after <= 90
    await one.hold(where, 1)
    assert not await entered(two, where), "a hold is only made longer"
    assert await entered(two, Lane(where.client_id, new_id(), where.rate))


async def test_a_hold_without_a_rate_counts_too(pair: tuple[Pace, Pace]) -> None:
    bare = Lane(new_id(), new_id(), None)
    assert await entered(pair[0], bare)
    await pair[1].hold(bare, 60)
    assert not await entered(pair[0], bare)


async def test_what_another_client_left_under_the_key_counts_for_nothing(pair: tuple[Pace, Pace]) -> None:
    where = lane()
    redis = pair[0]._redis
    await redis.set(where.key("hold"), str(new_id()), ex=60)
    await redis.set(where.key("pace"), f"{new_id()} 99999999999999", ex=60)
    assert await entered(pair[0], where)


async def test_keys_carry_their_client_and_go_by_themselves(pair: tuple[Pace, Pace]) -> None:
    where = lane(per_s=5)
    await pair[0].enter(where, 0)
    await pair[0].hold(where, 3)
    keys = await pair[0]._redis.keys(f"*{where.connection_id}*")
    assert len(keys) == 2
    for key in keys:
        assert str(where.client_id) in key.decode()
        assert 0 < await pair[0]._redis.pttl(key) <= 4000


async def test_without_redis_no_limit_is_known() -> None:
    pace = Pace("redis://127.0.0.1:9")
    where = lane(burst=1)
    for _ in range(5):
        await pace.enter(where, 0)
    await pace.hold(where, 60)
    assert await entered(pace, where)
    await pace.aclose()


async def slow_tenant(m365: Sandbox, per_minute: int) -> Tenant:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    [link] = await connections.list_connections(tenant.owner)
    await connections.update(
        tenant.owner, connection_id=link.id, config={**link.config, "operations_per_minute": per_minute}
    )
    return tenant


async def test_a_connections_own_setting_is_kept_to_by_two_workers(m365: Sandbox, workers: Workers) -> None:
    """Twelve looks at two a second, where one platform would bear many more."""
    tenant = await slow_tenant(m365, 120)
    flow = await tenant.publish(chain("Look", _LOOK))
    m365.control.clear_log()
    began = utcnow()
    ids = [await runs.start(tenant.engineer, workflow=flow.id, mode="plan") for _ in range(12)]
    workers.start(2)
    for run_id in ids:
        assert (await wait_for(tenant.engineer, run_id, seconds=60)).state == "succeeded"
    looks = [record for record in m365.control.log() if record["path"].endswith("/users")]
    assert len(looks) == 12
    # Two may come at once after a pause. Whatever comes late makes the whole longer, never shorter.
    last = max(datetime.fromisoformat(record["at"]) for record in looks)
    assert last - began >= timedelta(seconds=4.9)


async def test_a_step_that_is_held_back_goes_to_the_queue_and_has_lost_no_try(
    web: TestStack, m365: Sandbox, pair: tuple[Pace, Pace], runner: Worker
) -> None:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    once = {**_LOOK, "retry": {"attempts": 1}}
    ask = {"id": "ask", "type": "flow.approval", "params": {"title": "Go on?"}, "_port": "approved"}
    flow = await tenant.publish(chain("Held", ask, once))
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    waiting = await wait_for(tenant.engineer, run_id, ("waiting",))
    [link] = await connections.list_connections(tenant.owner)
    await pair[0].hold(Lane(tenant.client_id, link.id, None), 8)
    asked = waiting.approvals[0]
    await approvals.decide(tenant.approver, asked.id, decision="approve", seal=asked.seal, mfa=True)
    held = await wait_for(tenant.engineer, run_id, ("waiting",))
    while not held.reason or held.reason["code"] != "retry":
        held = await wait_for(tenant.engineer, run_id, ("waiting",))
    run = await wait_for(tenant.engineer, run_id)
    look = next(step for step in run.steps if step.node == "look")
    assert (run.state, look.state, look.attempt) == ("succeeded", "succeeded", 1)
    assert [each["error"]["code"] for each in look.attempts if each["error"]] == ["held_back"]


async def test_a_plan_that_is_held_back_waits_in_the_queue(
    m365: Sandbox, pair: tuple[Pace, Pace], runner: Worker
) -> None:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    flow = await tenant.publish(chain("Held plan", _LOOK))
    [link] = await connections.list_connections(tenant.owner)
    where = Lane(tenant.client_id, link.id, None)
    await pair[0].hold(where, 3000)
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="plan")
    held = await wait_for(tenant.engineer, run_id, ("waiting", "failed"))
    assert (held.state, (held.reason or {})["code"]) == ("waiting", "held_back")


LOOKS = [("m365", "m365.user.list"), ("aws", "aws.instance.list")]


@pytest.mark.parametrize(("platform", "action"), LOOKS)
async def test_a_client_that_waits_by_itself_tells_everybody_at_once(
    sandboxes: dict[str, Sandbox], pair: tuple[Pace, Pace], platform: str, action: str
) -> None:
    """Two workers, and one answer that asks for fewer requests: the second worker does not ask until it is time."""
    sandbox = sandboxes[platform]
    sandbox.reset()
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(sandbox)
    [link] = await connections.list_connections(tenant.owner)
    known = {platform: {"id": link.id, "platform": platform}}
    one, two = (Clients(tenant.owner, connections.open_client, pace, known) for pace in pair)

    async def look(clients: Clients) -> None:
        await clients.enter(platform)
        await reader_of(action).read(await clients.get(platform), reader_of(action).Params())

    for clients in (one, two):
        await look(clients)  # both are signed in
    sandbox.control.clear_log()
    sandbox.control.fault("throttle", writes=False, retry_after=4)
    first = asyncio.create_task(look(one))
    where = Lane(tenant.client_id, link.id, None)
    async with asyncio.timeout(3):
        while await entered(pair[1], where):  # noqa: ASYNC110 - Redis has no event for a hold
            await asyncio.sleep(0.02)
    await two.enter(platform)
    turn = utcnow()
    await first
    refused = sandbox.control.log()[0]
    assert refused["faults"] == ["throttle"]
    assert turn - datetime.fromisoformat(refused["at"]) >= timedelta(seconds=3.9)
    for clients in (one, two):
        await clients.aclose()
