"""The proof of isolation is clean on a migrated database, and red when anything that it rests on is taken away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from app.data import roles
from app.data.isolation import Report, prove, prove_as, prove_rules
from app.data.isolation.catalogue import read
from app.data.models import Client
from tests.db.conftest import Connect
from tests.db.world import Connection
from tests.servers import TestStack


@asynccontextmanager
async def broken(superuser: Connection, *statements: str) -> AsyncIterator[Connection]:
    """A transaction in which ``statements`` have spoilt something; taken back at the end."""
    async with superuser.transaction(force_rollback=True):
        for statement in statements:
            await superuser.execute(statement)
        yield superuser


async def as_login(connection: Connection, login: str) -> Report:
    await connection.execute(f"SET LOCAL SESSION AUTHORIZATION {login}")
    return await prove_as(connection, login)


async def test_a_migrated_database_is_clean_for_each_login(own: TestStack) -> None:
    report = await prove({f"opsloom_{role}": own.dsn(role) for role in ("web", "worker", "scheduler")})
    assert report.failures == []
    # Every tenant table, four verbs, two clients, three logins: far more than this.
    assert report.checks > 3000


async def test_it_keeps_nothing(own: TestStack, superuser: Connection) -> None:
    async def counts() -> dict[str, object]:
        tables = [table.name for table in (await read(superuser)).tenant_tables]
        return {t: await (await superuser.execute(f"SELECT count(*) FROM {t}")).fetchone() for t in tables}

    before = await counts()
    await prove({roles.WEB: own.dsn("web")})
    assert await counts() == before


async def test_it_knows_every_table_of_the_models(superuser: Connection) -> None:
    known = {table.name for table in (await read(superuser)).tenant_tables}
    assert set(Client.metadata.tables) <= known


async def test_it_turns_red_when_any_one_policy_is_dropped(superuser: Connection) -> None:
    policies = (await read(superuser)).policies
    assert len(policies) > 80  # tables, their partitions, four roles
    for policy in policies:
        async with broken(superuser, f"DROP POLICY {policy.name} ON {policy.table}"):
            report = await prove_rules(superuser)
        assert any(policy.table in failure for failure in report.failures), policy


async def test_attempts_find_every_table_whose_policy_lets_everything_through(superuser: Connection) -> None:
    tables = [table for table in (await read(superuser)).tenant_tables if not table.parent]
    weak = [f"ALTER POLICY tenant ON {table.name} USING (true) WITH CHECK (true)" for table in tables]
    async with broken(superuser, *weak):
        report = await as_login(superuser, roles.WEB)
    for table in tables:
        assert any(failure.leak and table.name in failure.what for failure in report.failed), table.name


async def test_policies_hold_even_if_every_right_is_granted(superuser: Connection) -> None:
    """Partitions by name too: it is not only the missing rights that keep clients apart."""
    async with broken(superuser, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {roles.APP}"):
        report = await as_login(superuser, roles.WORKER)
    assert report.leaks == 0, report.failures


async def test_a_partition_without_its_policies_leaks_by_name(superuser: Connection) -> None:
    """Why partitions have policies: this is what naming one directly would do."""
    async with broken(
        superuser,
        "ALTER TABLE audit_events_0 DISABLE ROW LEVEL SECURITY",
        *(f"ALTER TABLE audit_events_{n} DISABLE ROW LEVEL SECURITY" for n in range(1, 8)),
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {roles.APP}",
    ):
        report = await as_login(superuser, roles.WEB)
    assert any(failure.leak and "audit_events_" in failure.what for failure in report.failed)


SPOILT = {
    "row-level security switched off": ("ALTER TABLE runs DISABLE ROW LEVEL SECURITY", "runs: row-level security"),
    "not forced on the owner": ("ALTER TABLE runs NO FORCE ROW LEVEL SECURITY", "runs: row-level security"),
    "off on a partition": (
        "ALTER TABLE step_events_default DISABLE ROW LEVEL SECURITY",
        "step_events_default: row-level security",
    ),
    "a new table that nobody protected": (
        "CREATE TABLE notes (client_id uuid, id uuid, PRIMARY KEY (client_id, id));"
        f" GRANT SELECT ON notes TO {roles.APP}",
        "notes: row-level security",
    ),
    "a new table without a client": ("CREATE TABLE notes (id uuid)", "notes: has no client_id"),
    "a new partition without policies": (
        "CREATE TABLE step_events_9 PARTITION OF step_events FOR VALUES"
        " FROM ('ffffffff-0000-0000-0000-000000000000') TO (MAXVALUE)",
        "step_events_9: its policies",
    ),
    "a second policy for tenants": (
        f"CREATE POLICY more ON runs FOR SELECT TO {roles.APP} USING (state = 'queued')",
        "joined by OR",
    ),
    "a policy for everybody": ("CREATE POLICY more ON runs FOR SELECT USING (true)", "policy more"),
    "a rule that lets a missing setting through": (
        "ALTER POLICY tenant ON runs USING (current_setting('app.current_tenant', true) IS NULL"
        " OR client_id = current_setting('app.current_tenant', true)::uuid)",
        "policy tenant uses",
    ),
    "no check on what is written": ("ALTER POLICY tenant ON runs WITH CHECK (true)", "policy tenant checks"),
    "an overview that may write": (f"GRANT UPDATE ON runs TO {roles.OVERVIEW}", "opsloom_overview holds UPDATE"),
    "a right to truncate": (f"GRANT TRUNCATE ON runs TO {roles.APP}", "opsloom_app holds TRUNCATE"),
    "a right given to a login": (f"GRANT SELECT ON runs TO {roles.WEB}", "opsloom_web holds SELECT"),
    "a partition granted by name": (f"GRANT SELECT ON audit_events_3 TO {roles.APP}", "on a partition"),
    "a view with its owner's eyes": ("CREATE VIEW all_runs AS SELECT * FROM runs", "all_runs: a view without"),
    "a materialized view for tenants": (
        f"CREATE MATERIALIZED VIEW all_runs AS SELECT * FROM runs; GRANT SELECT ON all_runs TO {roles.APP}",
        "all_runs: knows no row-level security",
    ),
    "a function with its owner's rights": (
        "CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM runs'",
        "public.peek: a SECURITY DEFINER function that is not a listed door",
    ),
    "a door whose search path is the caller's": ("ALTER FUNCTION doors.metrics() RESET search_path", "search_path"),
    "a door for everybody": ("GRANT EXECUTE ON FUNCTION doors.claim_runs TO PUBLIC", "claim_runs: everybody"),
    "another role's door": (f"GRANT EXECUTE ON FUNCTION doors.claim_runs TO {roles.WEB}", "claim_runs: may be called"),
    "a login that bypasses": (f"ALTER ROLE {roles.WEB} BYPASSRLS", "opsloom_web: is a superuser, bypasses"),
    "doors that bypass": (f"ALTER ROLE {roles.DISPATCH} BYPASSRLS", "opsloom_dispatch: is a superuser, bypasses"),
    "a login that became the owner": (f"GRANT {roles.OWNER} TO {roles.WORKER}", "opsloom_worker: is a member of"),
    "a login that holds the overview with its own": (
        f"ALTER ROLE {roles.OVERVIEW_GATE} INHERIT; REVOKE {roles.OVERVIEW} FROM {roles.OVERVIEW_GATE};"
        f" GRANT {roles.OVERVIEW} TO {roles.OVERVIEW_GATE}",
        "opsloom_web: holds the rights of opsloom_overview",
    ),
    "a login that owns a table": (f"ALTER TABLE reveals OWNER TO {roles.WEB}", "opsloom_web: owns"),
    "a login that makes tables": (f"GRANT CREATE ON SCHEMA public TO {roles.WEB}", "opsloom_web: may make objects"),
    "a unique key over all clients": ("CREATE UNIQUE INDEX told ON workflows (name)", "told: client_id is not"),
    "a foreign key without the client": (
        "ALTER TABLE reveals ADD CONSTRAINT loose FOREIGN KEY (revealed_by) REFERENCES accounts (id)",
        "loose: does not carry client_id",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
async def test_it_turns_red_for(case: str, superuser: Connection) -> None:
    statement, expected = SPOILT[case]
    async with broken(superuser, statement):
        report = await prove_rules(superuser)
    assert any(expected in failure for failure in report.failures), report.failures


@pytest.mark.parametrize("login", ["web", "worker", "scheduler"])
async def test_a_login_cannot_become(login: str, connect: Connect) -> None:
    connection = await connect(login)
    for role in (roles.OWNER, roles.DISPATCH, roles.DATA, roles.MIGRATE, *({roles.OVERVIEW} - {login})):
        if login == "web" and role == roles.OVERVIEW:
            continue
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(f"SET ROLE {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await connection.execute("CREATE TEMP TABLE mine (x int)")


async def test_a_setting_that_is_no_id_shows_nothing(connect: Connect) -> None:
    connection = await connect("web")
    async with connection.transaction(force_rollback=True):
        await connection.execute("SELECT set_config('app.current_tenant', 'everything', true)")
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            await connection.execute("SELECT * FROM clients")
