"""Doors at sign-in: they find by key, give no secret, and open to their own callers only."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from app.core.ids import new_id
from app.data import doors, entry_doors, roles
from app.data.isolation.catalogue import read
from app.data.routing import Database
from app.data.session import door_session, tenant_session
from tests.db.conftest import Connect
from tests.db.world import Company, Connection

pytestmark = pytest.mark.usefixtures("web")


async def test_an_account_is_found_by_its_address(first: Company) -> None:
    async with door_session() as session:
        found = await doors.account_by_email(session, f"a@{first.slug}")
        assert found == doors.AccountKey(first.client_id, first.account_id)
        assert await doors.account_by_email(session, f"A@{first.slug}") is None
        assert await doors.account_by_email(session, "") is None


async def test_a_client_is_found_by_its_slug(first: Company) -> None:
    async with door_session() as session:
        assert await doors.client_by_slug(session, first.slug) == first.client_id
        assert await doors.client_by_slug(session, "nobody") is None


async def test_sessions_and_tokens_are_found_by_hash(superuser: Connection, first: Company) -> None:
    names = (first.client_id, new_id(), first.account_id)
    await superuser.execute(
        "INSERT INTO sessions (client_id, id, account_id, token_hash, expires_at, absolute_expires_at)"
        " VALUES (%s, %s, %s, %s, now() + interval '1 h', now() + interval '8 h')",
        (*names, b"s" + names[1].bytes),
    )
    await superuser.execute(
        "INSERT INTO api_tokens (client_id, id, account_id, name, token_hash, clients)"
        " VALUES (%s, %s, %s, 't', %s, %s)",
        (*names, b"t" + names[1].bytes, [first.client_id]),
    )
    found = await entry_doors.session_by_hash(b"s" + names[1].bytes)
    token = await entry_doors.token_by_hash(b"t" + names[1].bytes)
    assert await entry_doors.session_by_hash(b"t" + names[1].bytes) is None
    assert await entry_doors.token_by_hash(b"s" + names[1].bytes) is None
    assert found is not None
    assert (found.client_id, found.id, found.account_id, found.name) == (*names, "A")
    assert found.expires_at > found.now
    assert token is not None
    assert (token.clients, token.email) == ([first.client_id], f"A@{first.slug}")


async def test_a_token_and_a_client_of_its_account_are_one_look(
    superuser: Connection, first: Company, second: Company
) -> None:
    hashed = new_id().bytes
    await superuser.execute(
        "INSERT INTO api_tokens (client_id, id, account_id, name, token_hash) VALUES (%s, %s, %s, 't', %s)",
        (first.client_id, new_id(), first.account_id, hashed),
    )
    token = await entry_doors.token_by_hash(hashed)
    assert token is not None
    for wanted, slug in ((first.slug, first.slug), (str(first.client_id), first.slug), (second.slug, None)):
        found = await entry_doors.token_in_client(hashed, wanted)
        assert found is not None
        assert replace(found[0], now=token.now) == token
        assert (found[1] and (found[1].slug, found[1].role)) == (slug and (slug, "owner"))
    assert await entry_doors.token_in_client(b"other", first.slug) is None


async def test_one_client_of_an_account(first: Company, second: Company) -> None:
    slug = first.slug
    for wanted in (slug, str(first.client_id), str(first.client_id).upper()):
        found = await entry_doors.membership(first.account_id, wanted)
        assert found is not None
        assert (found.client_id, found.slug) == (first.client_id, slug)
    for account, wanted in (
        (second.account_id, slug),
        (second.account_id, str(first.client_id)),
        (new_id(), slug),
        (first.account_id, "not-there"),
        (first.account_id, str(new_id())),
        (first.account_id, "'; --"),
        (first.account_id, "\0"),
        (first.account_id, f"{{{first.client_id}}}"),
        (first.account_id, first.client_id.hex),
    ):
        assert await entry_doors.membership(account, wanted) is None


async def test_the_clients_of_an_account(superuser: Connection, first: Company, second: Company) -> None:
    await superuser.execute(
        "INSERT INTO memberships (client_id, account_id, role) VALUES (%s, %s, 'viewer')",
        (second.client_id, first.account_id),
    )
    async with door_session() as session:
        found = {client.client_id: client.role for client in await doors.clients_of(session, first.account_id)}
        assert await doors.clients_of(session, new_id()) == []
    assert found == {first.client_id: "owner", second.client_id: "viewer"}


async def test_members_are_those_of_the_present_client(first: Company, second: Company) -> None:
    async with tenant_session(first.client_id) as session:
        assert [member.account_id for member in await doors.members(session)] == [first.account_id]
    async with door_session() as session:
        assert await doors.members(session) == []


async def test_doors_read_no_secret(superuser: Connection) -> None:
    """Not even the doors' owner could: the columns are not granted to it."""
    async with superuser.transaction(force_rollback=True):
        await superuser.execute(f"SET LOCAL ROLE {roles.DISPATCH}")
        for column in ("password_hash", "totp_secret", "recovery_codes"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with superuser.transaction():
                    await superuser.execute(f"SELECT {column} FROM public.accounts")  # type: ignore[arg-type]
        for table in ("connections", "workflows", "audit_events", "approvals"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with superuser.transaction():
                    await superuser.execute(f"SELECT FROM public.{table}")  # type: ignore[arg-type]
        # Of a run they know which one it is, in order to remove its history; not what it was about.
        for table, column in (("runs", "inputs"), ("runs", "label"), ("step_events", "payload"), ("run_plans", "plan")):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with superuser.transaction():
                    await superuser.execute(f"SELECT {column} FROM public.{table}")  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["web", "worker", "scheduler", "migrate"])
async def test_a_login_opens_its_own_doors_only(role: str, connect: Connect, superuser: Connection) -> None:
    login = f"opsloom_{role}"
    for function in (await read(superuser)).functions:
        if function.schema != "doors":
            continue
        found = await (
            await superuser.execute(
                "SELECT bool_or(has_function_privilege(%s, oid, 'EXECUTE')) FROM pg_proc"
                " WHERE proname = %s AND pronamespace = 'doors'::regnamespace",
                [login, function.name],
            )
        ).fetchone()
        assert found == (login in doors.CALLERS[function.name],), function.name
    connection = await connect(role)
    if role != "worker":
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT * FROM doors.claim_runs(gen_random_uuid(), 1)")
    if role != "web":
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT * FROM doors.session_by_hash('x')")


async def test_every_listed_door_is_there(superuser: Connection) -> None:
    assert set(doors.CALLERS) == {f.name for f in (await read(superuser)).functions if f.schema == "doors"}


async def test_without_a_client_the_web_login_reads_nothing(web: Database, connect: Connect, first: Company) -> None:
    connection = await connect("web")
    for table in ("clients", "accounts", "runs", "sessions"):
        cursor = await connection.execute(f"SELECT count(*) FROM {table}")  # type: ignore[arg-type]
        assert await cursor.fetchone() == (0,)
