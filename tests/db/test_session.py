"""Sessions: one client each, nothing carried over, hooks after the commit, whole transactions again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import psycopg
import pytest
import structlog
from psycopg.pq import TransactionStatus
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from app.core.context import Actor, Context, system_actor
from app.core.ids import new_id
from app.data.models import Client, Run, Workflow
from app.data.retry import constraint, in_tenant, may_succeed_again, sqlstate
from app.data.routing import Database, Route, prepare
from app.data.session import CommitUnknown, after_commit, door_session, overview_session, tenant_session
from app.services import clients
from tests.db.world import Company, Connection, runs, value
from tests.servers import TestStack

pytestmark = pytest.mark.usefixtures("web")


def actor(company: Company) -> Actor:
    return Actor(account_id=company.account_id, email=f"a@{company.slug}")


async def test_a_session_sees_its_client_only(first: Company, second: Company) -> None:
    context = Context(first.client_id, first.slug, actor(first), "owner")
    async with tenant_session(context) as session:
        assert [client.slug for client in await session.exec(select(Client))] == [first.slug]
        missing = select(Workflow).where(Workflow.client_id == second.client_id)
        assert (await session.exec(missing)).all() == []


@pytest.mark.parametrize("scope", [None, "", "x", system_actor("worker")])
async def test_without_a_client_it_refuses(scope: Any) -> None:
    with pytest.raises(TypeError, match="client"):
        async with tenant_session(scope):
            pass


async def test_another_clients_row_cannot_be_written(first: Company, second: Company) -> None:
    with pytest.raises(DBAPIError) as refused:
        async with tenant_session(first.client_id) as session:
            session.add(Workflow(client_id=second.client_id, name="planted"))
    assert sqlstate(refused.value) == "42501"
    async with tenant_session(second.client_id) as session:
        assert [workflow.name for workflow in await session.exec(select(Workflow))] == ["W"]


async def test_a_pooled_connection_carries_nothing_over(first: Company, web: Database) -> None:
    """The pool has two connections: after ten sessions each has been used, and none knows a client."""
    for _ in range(10):
        async with tenant_session(first.client_id) as session:
            assert len((await session.exec(select(Client))).all()) == 1
    async with web.engine().connect() as one, web.engine().connect() as other:
        for connection in (one, other):
            found = await connection.execute(text("SELECT current_setting('app.current_tenant', true), current_user"))
            assert found.one() in ((None, "opsloom_web"), ("", "opsloom_web"))
            assert (await connection.execute(text("SELECT count(*) FROM clients"))).scalar_one() == 0


async def test_a_cancelled_task_leaves_no_client_behind(first: Company, web: Database) -> None:
    async def slow() -> None:
        async with tenant_session(first.client_id) as session:
            await session.execute(text("SELECT pg_sleep(30)"))

    task = asyncio.create_task(slow())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with door_session() as session:
        assert (await session.exec(select(Client))).all() == []


async def test_sessions_side_by_side_keep_their_clients(first: Company, second: Company) -> None:
    async def look(company: Company) -> list[str]:
        async with tenant_session(company.client_id) as session:
            await asyncio.sleep(0.001)
            return [client.slug for client in await session.exec(select(Client))]

    companies = [first, second] * 20
    assert await asyncio.gather(*map(look, companies)) == [[company.slug] for company in companies]


async def _fail_after(scope: Any, *work: Any) -> None:
    async with tenant_session(scope) as session:
        for part in work:
            part(session)
        await session.flush()
        raise RuntimeError


async def test_an_error_takes_everything_back(first: Company) -> None:
    with pytest.raises(RuntimeError):
        await _fail_after(first.client_id, lambda s: s.add(Workflow(client_id=first.client_id, name="half")))
    async with tenant_session(first.client_id) as session:
        assert [workflow.name for workflow in await session.exec(select(Workflow))] == ["W"]


async def test_hooks_run_after_the_commit_and_only_then(first: Company, superuser: Connection) -> None:
    seen: list[object] = []

    async def look() -> None:
        seen.append(await value(superuser, "SELECT count(*) FROM workflows WHERE client_id = %s", first.client_id))

    async with tenant_session(first.client_id) as session:
        session.add(Workflow(client_id=first.client_id, name="new"))
        after_commit(session, look)
        await session.flush()
        assert seen == []
    assert seen == [2]
    with pytest.raises(RuntimeError):
        await _fail_after(first.client_id, lambda session: after_commit(session, look))
    assert seen == [2]


async def test_a_hook_that_fails_is_logged_and_the_others_still_run(first: Company) -> None:
    ran: list[int] = []

    async def fail() -> None:
        raise ConnectionError("Redis is away")

    async def follow() -> None:
        ran.append(1)

    with structlog.testing.capture_logs() as logs:
        async with tenant_session(first.client_id) as session:
            after_commit(session, fail)
            after_commit(session, follow)
    assert ran == [1]
    assert [line["event"] for line in logs] == ["after_commit_hook_failed"]


async def test_an_overview_lists_the_accounts_clients_and_cannot_write(
    first: Company, second: Company, superuser: Connection
) -> None:
    await superuser.execute(
        "INSERT INTO memberships (client_id, account_id, role) VALUES (%s, %s, 'viewer')",
        (second.client_id, first.account_id),
    )
    async with overview_session(actor(first)) as session:
        seen = {client.slug for client in await session.exec(select(Client))}
        assert seen == {first.slug, second.slug}
    async with overview_session(actor(second)) as session:
        assert [client.slug for client in await session.exec(select(Client))] == [second.slug]
        assert len((await session.exec(select(Workflow))).all()) == 1
    for statement in ("UPDATE workflows SET name = 'x'", "DELETE FROM runs", "SELECT * FROM accounts"):
        with pytest.raises(DBAPIError) as refused:
            async with overview_session(actor(first)) as session:
                await session.execute(text(statement))
        assert sqlstate(refused.value) == "42501"


async def test_an_overview_needs_an_account() -> None:
    with pytest.raises(TypeError, match="account"):
        async with overview_session(system_actor("scheduler")):
            pass


async def test_a_connection_that_the_server_closed_is_replaced(first: Company, superuser: Connection) -> None:
    async with tenant_session(first.client_id):
        pass
    ended = await value(
        superuser,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE usename = 'opsloom_web' AND datname = current_database()",
    )
    assert isinstance(ended, int)
    assert ended >= 1
    async with tenant_session(first.client_id) as session:
        assert len((await session.exec(select(Client))).all()) == 1


async def test_a_deadlock_is_tried_again(first: Company, superuser: Connection) -> None:
    one, other = await runs(superuser, first, 2)
    attempts = 0
    met = asyncio.Barrier(2)

    async def swap(mine: Any, theirs: Any) -> str:
        async def work(session: Any) -> str:
            nonlocal attempts
            attempts += 1
            for number, run in enumerate((mine, theirs)):
                if number == 1 and attempts <= 2:
                    await met.wait()
                await session.execute(text("UPDATE runs SET label = 'x' WHERE id = :id"), {"id": run})
            return "done"

        return await in_tenant(first.client_id, work)

    assert await asyncio.gather(swap(one, other), swap(other, one)) == ["done", "done"]
    assert attempts == 3


async def test_what_cannot_succeed_is_not_tried_again(first: Company) -> None:
    attempts = 0

    async def work(session: Any) -> None:
        nonlocal attempts
        attempts += 1
        session.add(Client(client_id=first.client_id, slug=first.slug, name="again"))
        await session.flush()

    with pytest.raises(DBAPIError) as taken:
        await in_tenant(first.client_id, work)
    assert attempts == 1
    assert sqlstate(taken.value) == "23505"
    assert constraint(taken.value) in ("clients_pkey", "clients_slug_key")
    assert first.slug not in str(taken.value)


async def test_a_connection_lost_in_the_commit_says_so_and_is_not_repeated(
    first: Company, superuser: Connection
) -> None:
    """A deferred trigger ends the connection inside the COMMIT itself."""
    await superuser.execute(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'"
    )
    await superuser.execute(
        "CREATE CONSTRAINT TRIGGER lose AFTER INSERT ON workflows DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION lose()"
    )
    try:

        async def work(session: Any) -> None:
            session.add(Workflow(client_id=first.client_id, name="lost"))

        with pytest.raises(CommitUnknown) as lost:
            await in_tenant(first.client_id, work)
        assert not may_succeed_again(lost.value)
    finally:
        await superuser.execute("DROP TRIGGER lose ON workflows")
        await superuser.execute("DROP FUNCTION lose()")


async def test_lists_go_to_the_replica_where_there_is_one(own: TestStack) -> None:
    database = Database(own.dsn("web"), replica=own.dsn("scheduler"))
    try:
        for route, user in ((Route.PRIMARY, "opsloom_web"), (Route.REPLICA, "opsloom_scheduler")):
            async with tenant_session(new_id(), route=route, on=database) as session:
                assert (await session.execute(text("SELECT current_user"))).scalar_one() == user
    finally:
        await database.dispose()


async def test_a_prepared_plan_does_not_keep_the_client_or_role_it_was_made_for(
    own: TestStack, first: Company, second: Company
) -> None:
    """The same prepared statement, the same function, on one connection: client, other client, overview, nobody."""
    async with await psycopg.AsyncConnection.connect(own.dsn("web"), prepare_threshold=0) as connection:
        for _ in range(8):  # past the fifth execution the plan is a generic one
            for client in (first.client_id, second.client_id, None):
                async with connection.transaction(force_rollback=True):
                    await connection.execute(
                        "SELECT set_config('app.current_tenant', %s, true)", [str(client) if client else ""]
                    )
                    cursor = await connection.execute("SELECT client_id FROM clients ORDER BY client_id", prepare=True)
                    assert await cursor.fetchall() == ([(client,)] if client else [])
                    members = await connection.execute("SELECT account_id FROM doors.members()", prepare=True)
                    assert len(await members.fetchall()) == (1 if client else 0)
            async with connection.transaction(force_rollback=True):
                await connection.execute("SET LOCAL ROLE opsloom_overview")
                await connection.execute("SELECT set_config('app.current_account', %s, true)", [str(second.account_id)])
                cursor = await connection.execute("SELECT client_id FROM clients ORDER BY client_id", prepare=True)
                assert await cursor.fetchall() == [(second.client_id,)]


async def test_who_changes_a_client_holds_up_no_audit_event(own: TestStack, first: Company) -> None:
    """An event refers to its client; who adds one holds the head of the chain, which the change wants at its end."""
    event = {"at": "2026-01-01T00:00:00Z", "actor": "a", "via": "system", "action": "x_done", "outcome": "success"}
    event |= {"target": "", "details": {}, "head": "", "tail": ""}
    ctx = Context(first.client_id, first.slug, system_actor("setup"), "system", frozenset())
    async with tenant_session(ctx) as session:
        await clients._row(session, ctx, lock=True)
        async with await psycopg.AsyncConnection.connect(own.dsn("worker")) as other:
            await other.execute("SET lock_timeout = '5s'")
            await other.execute("SELECT set_config('app.current_tenant', %s, true)", [str(first.client_id)])
            await other.execute("SELECT audit_append(%s, %s::jsonb)", [first.client_id, json.dumps([event])])
            await other.rollback()


@pytest.mark.parametrize(("wanted", "after"), [(None, 5), (True, 5), (False, None)])
async def test_statements_are_prepared_unless_somebody_says_no(
    own: TestStack, wanted: bool | None, after: int | None
) -> None:
    async with await psycopg.AsyncConnection.connect(own.dsn("web"), prepare_threshold=None) as connection:
        await prepare(connection, wanted)
        assert connection.prepare_threshold == after
        assert connection.info.transaction_status == TransactionStatus.IDLE


async def test_behind_a_pooler_nothing_is_prepared(own: TestStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives each of its clients a process number of its own making, which is no server's."""
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", 1)
    async with await psycopg.AsyncConnection.connect(own.dsn("web"), prepare_threshold=None) as connection:
        await prepare(connection, None)
        assert connection.prepare_threshold is None


async def test_an_error_does_not_tell_the_address(own: TestStack) -> None:
    wrong = Database(own.dsn("web").replace("opsloom_web:", "opsloom_web:wrong-"))
    with pytest.raises((DBAPIError, psycopg.OperationalError)) as refused:
        async with tenant_session(new_id(), on=wrong):
            pass
    assert "wrong-" not in str(refused.value)
    await wrong.dispose()


async def test_a_rows_own_default_comes_back(first: Company) -> None:
    async with tenant_session(first.client_id) as session:
        run = Run(client_id=first.client_id, workflow_id=first.workflow_id, version=1, document_hash="h", mode="plan")
        session.add(run)
    async with tenant_session(first.client_id) as session:
        found = (await session.exec(select(Run).where(Run.client_id == first.client_id, Run.id == run.id))).one()
    assert (found.state, found.kind, found.reason, found.summary) == ("queued", "run", None, {})
