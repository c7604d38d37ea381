"""Up, down and up again; the models say what the tables are; roles can be made sure of twice."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Column
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

import app.data.models
from app.data import migrate, roles
from app.data.isolation import prove
from tests.servers import TestStack

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def _left_over(stack: TestStack) -> set[str]:
    """Every object of ours that is not the extension's or the system's."""
    with psycopg.connect(stack.superuser_dsn) as link:
        rows = link.execute(
            "SELECT relname::text FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S', 'v') UNION ALL"
            " SELECT proname::text FROM pg_proc"
            " WHERE pronamespace IN ('public'::regnamespace, 'doors'::regnamespace)"
        ).fetchall()
    return {row[0] for row in rows}


async def test_down_to_nothing_and_up_again(stack: TestStack) -> None:
    with stack.clone() as mine:
        dsn = mine.dsn("migrate")
        assert migrate.current(dsn) == migrate.head()
        before = _left_over(mine)
        assert migrate.downgrade(dsn) is None
        assert _left_over(mine) == {"alembic_version"}
        assert migrate.pending(dsn)
        assert migrate.upgrade(dsn) == migrate.head()
        assert not migrate.pending(dsn)
        assert _left_over(mine) == before
        report = await prove({f"opsloom_{role}": mine.dsn(role) for role in ("web", "worker")})  # type: ignore[arg-type]
        assert report.failures == []


def test_each_step_down_and_up(stack: TestStack) -> None:
    with stack.clone() as mine:
        dsn = mine.dsn("migrate")
        while migrate.current(dsn) is not None:
            here = migrate.current(dsn)
            below = migrate.downgrade(dsn, "-1")
            migrate.upgrade(dsn, "+1")
            assert migrate.current(dsn) == here
            migrate.downgrade(dsn, "-1")
            assert migrate.current(dsn) == below


def _type_of(column: Column) -> str:  # type: ignore[type-arg]
    return str(column.type.compile(_DIALECT)).lower().replace("varchar", "text")


def test_models_and_tables_say_the_same(stack: TestStack) -> None:
    assert app.data.models.__all__
    with psycopg.connect(stack.superuser_dsn) as link:
        for name, table in SQLModel.metadata.tables.items():
            rows = link.execute(
                "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
                " EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary"
                "         AND a.attnum = ANY (i.indkey))"
                " FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped",
                [name],
            ).fetchall()
            found = {row[0]: (row[1], row[2], row[3]) for row in rows}
            meant = {c.name: (_type_of(c), not c.nullable, c.primary_key) for c in table.columns}
            assert meant == found, name


def test_every_table_has_a_model(stack: TestStack) -> None:
    with psycopg.connect(stack.superuser_dsn) as link:
        rows = link.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'client_id'"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        ).fetchall()
    assert {row[0] for row in rows} == set(SQLModel.metadata.tables)


def test_roles_can_be_made_sure_of_again(private_stack: TestStack) -> None:
    """Roles belong to the whole server, so that nobody else's tests may run on it meanwhile."""
    mine = private_stack
    with psycopg.connect(mine.superuser_dsn, autocommit=True) as link:
        link.execute(f"ALTER ROLE {roles.WEB} CONNECTION LIMIT 50")
        link.execute(f"GRANT {roles.DATA} TO {roles.SCHEDULER}")
    roles.ensure_roles(mine.superuser_dsn, {}, database=mine.database)
    with psycopg.connect(mine.superuser_dsn, autocommit=True) as link:
        held = link.execute("SELECT pg_has_role(%s, %s, 'MEMBER')", [roles.SCHEDULER, roles.DATA]).fetchone()
    assert held == (False,)


def test_a_password_for_no_login_is_refused(stack: TestStack) -> None:
    with pytest.raises(KeyError, match="opsloom_owner"):
        roles.ensure_roles(stack.superuser_dsn, {roles.OWNER: "x"}, database=stack.database)


def test_only_the_migration_login_migrates(stack: TestStack) -> None:
    for role in ("web", "worker", "scheduler"):
        with psycopg.connect(stack.dsn(role)) as link, pytest.raises(InsufficientPrivilege):
            link.execute("SET ROLE opsloom_owner")


def test_the_owner_sees_nothing_and_the_data_role_everything(stack: TestStack) -> None:
    """A data migration has a role of its own: under FORCE the owner would change no row and say nothing."""
    with stack.clone() as mine:
        with psycopg.connect(mine.superuser_dsn, autocommit=True) as link:
            link.execute("INSERT INTO clients (client_id, slug, name) VALUES (gen_random_uuid(), 'x', 'X')")
        with psycopg.connect(mine.dsn("migrate")) as link:
            for role, seen in ((roles.OWNER, 0), (roles.DATA, 1)):
                link.execute(f"SET ROLE {role}")  # type: ignore[arg-type]
                assert link.execute("SELECT count(*) FROM public.clients").fetchone() == (seen,)
                assert link.execute("UPDATE public.clients SET name = 'Y'").rowcount == seen
