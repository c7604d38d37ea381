"""The audit trail in the database: in the transaction it tells of, gapless under load, and tamper-evident."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from app.core.chain_export import verify_export
from app.core.context import Context
from app.core.errors import Forbidden
from app.core.ids import new_id
from app.data.repositories import audit
from app.data.session import tenant_session
from app.services import audit as trail
from app.services import clients
from tests.servers import TestStack
from tests.stack.people import World


@pytest.fixture
async def fresh(world: World) -> Context:
    """A client of its own, so that its chain is this test's alone."""
    made = await clients.add_client(
        clients.system_context("setup", new_id()).actor, slug=f"a-{new_id().hex}", name="Audit"
    )
    return clients.system_context("setup", made.id, made.slug)


async def lines_of(ctx: Context) -> list[str]:
    return [line async for line in trail.export(ctx)]


async def add(ctx: Context, count: int, **more) -> None:
    async with tenant_session(ctx) as session:
        for number in range(count):
            await audit.record(session, ctx, action="tested", target=f"thing:{number}", **more)


async def test_an_export_is_whole_and_signed(fresh: Context) -> None:
    await add(fresh, 3, details={"é": [1, 2.5, None], "password": "canary", "n": 10**30, "when": fresh.client_id})
    signer = audit.signer()
    assert signer is not None
    report = verify_export(await lines_of(fresh), trusted=[signer.key_id])
    assert report.ok, report.findings
    assert (report.client, report.events, report.key_trusted) == (fresh.client_slug, 5, True)


async def test_a_failed_transaction_leaves_no_event(fresh: Context) -> None:
    before = await trail.list_events(fresh)

    async def fail() -> None:
        async with tenant_session(fresh) as session:
            await audit.record(session, fresh, action="tested")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await trail.list_events(fresh) == before


async def test_forty_transactions_at_once_make_one_gapless_chain(fresh: Context) -> None:
    await asyncio.gather(*(add(fresh, 2) for _ in range(20)))
    found = await trail.list_events(fresh, limit=200)
    assert [event.seq for event in found.events] == list(range(41, 0, -1))
    assert verify_export(await lines_of(fresh)).ok


async def test_a_long_chain_is_signed_on_the_way(fresh: Context) -> None:
    await add(fresh, audit.CHECKPOINT_EVERY + 300)
    lines = await lines_of(fresh)
    report = verify_export(lines)
    assert report.ok, report.findings
    assert report.checkpoints >= 2
    assert verify_export(lines, earlier=lines).ok


async def test_two_exports_agree_about_what_both_hold(fresh: Context) -> None:
    await add(fresh, 2)
    first = await lines_of(fresh)
    await add(fresh, 2)
    second = await lines_of(fresh)
    assert verify_export(second, earlier=first).ok
    assert {finding.kind for finding in verify_export(first, earlier=second).findings} == {"vanished"}


@pytest.mark.parametrize("statement", [
    "UPDATE audit_events SET outcome = 'x' WHERE client_id = %s",
    "DELETE FROM audit_events WHERE client_id = %s",
    "DELETE FROM audit_checkpoints WHERE client_id = %s",
])  # fmt: skip
async def test_even_a_superuser_is_refused(web: TestStack, fresh: Context, statement: str) -> None:
    await lines_of(fresh)
    with psycopg.connect(web.superuser_dsn) as link, pytest.raises(psycopg.Error, match="only ever added"):
        link.execute(statement, [fresh.client_id])


@pytest.mark.parametrize(("statement", "kind"), [
    ("UPDATE audit_events SET actor = 'nobody' WHERE client_id = %s AND seq = 3", "edited"),
    ("UPDATE audit_events SET at = at + interval '1 microsecond' WHERE client_id = %s AND seq = 3", "edited"),
    ("UPDATE audit_events SET details = '{\"n\": 2}' WHERE client_id = %s AND seq = 3", "edited"),
    ("DELETE FROM audit_events WHERE client_id = %s AND seq = 3", "missing"),
])  # fmt: skip
async def test_who_switches_the_trigger_off_is_found(web: TestStack, fresh: Context, statement: str, kind: str) -> None:
    await add(fresh, 5, details={"n": 1})
    with psycopg.connect(web.superuser_dsn) as link:
        link.execute("SET LOCAL session_replication_role = replica")
        link.execute(statement, [fresh.client_id])
    assert kind in {finding.kind for finding in verify_export(await lines_of(fresh)).findings}


async def test_cutting_the_end_off_in_the_database_is_found_beside_an_older_export(web: TestStack, fresh: Context):
    await add(fresh, 6)
    older = await lines_of(fresh)
    with psycopg.connect(web.superuser_dsn) as link:
        link.execute("SET LOCAL session_replication_role = replica")
        link.execute("DELETE FROM audit_events WHERE client_id = %s AND seq > 3", [fresh.client_id])
        link.execute("DELETE FROM audit_checkpoints WHERE client_id = %s", [fresh.client_id])
        link.execute(
            "UPDATE audit_heads h SET seq = 3, hash = e.hash FROM audit_events e"
            " WHERE e.client_id = h.client_id AND e.seq = 3 AND h.client_id = %s",
            [fresh.client_id],
        )
    shorter = await lines_of(fresh)
    assert verify_export(shorter).ok
    assert {finding.kind for finding in verify_export(shorter, earlier=older).findings} == {"vanished"}


async def test_the_list_filters_and_pages(fresh: Context) -> None:
    await add(fresh, 7)
    await add(fresh, 1, outcome="failure")
    first = await trail.list_events(fresh, action="test", limit=5)
    assert len(first.events) == 5
    rest = await trail.list_events(fresh, action="test", limit=5, cursor=first.next)
    assert (len(rest.events), rest.next) == (3, None)
    assert len((await trail.list_events(fresh, outcome="failure")).events) == 1
    assert (await trail.list_events(fresh, actor="SETUP", limit=200)).events
    assert not (await trail.list_events(fresh, actor="100%")).events


async def test_people_are_named_as_they_are_now_and_parts_as_recorded(world: World, fresh: Context) -> None:
    owner = await world.context("owner")
    await add(owner, 1)
    [event] = (await trail.list_events(owner, target="thing:0", limit=1)).events
    assert (event.name, event.email) == ("Owner", owner.actor.email)
    await add(fresh, 1)
    [event] = (await trail.list_events(fresh, target="thing:0", limit=1)).events
    assert (event.name, event.email) == (event.actor, "")


async def test_only_who_may_read_it_reads_it(world: World) -> None:
    for role in ("viewer", "helpdesk", "portal"):
        context = await world.context(role)
        with pytest.raises(Forbidden):
            await trail.list_events(context)
        with pytest.raises(Forbidden):
            await lines_of(context)
