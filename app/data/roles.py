"""The database roles of an installation, and who may become whom.

A role without login holds the rights; a process signs in as a login role that has been made a member of it. None of
them is a superuser, owns a table (``opsloom_owner`` apart) or bypasses row-level security.

``opsloom_overview_gate`` exists for PostgreSQL 15, which knows no membership "to set, not to inherit": rights stop at
a member that does not inherit, while ``SET ROLE`` walks through it. So the web login can enter ``opsloom_overview``
and never holds its policies together with those of ``opsloom_app``, which would be joined by OR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

OWNER = "opsloom_owner"
APP = "opsloom_app"
DISPATCH = "opsloom_dispatch"
OVERVIEW = "opsloom_overview"
OVERVIEW_GATE = "opsloom_overview_gate"
DATA = "opsloom_data"
WEB = "opsloom_web"
WORKER = "opsloom_worker"
SCHEDULER = "opsloom_scheduler"
MIGRATE = "opsloom_migrate"

DATABASE = "opsloom"
LOGINS = (WEB, WORKER, SCHEDULER, MIGRATE)
PROCESS_LOGINS = (WEB, WORKER, SCHEDULER)
_LOCK = 0x0D5100


@dataclass(frozen=True)
class RoleSpec:
    """A role: whether its members' rights are its own (``inherits``), what it is a member of, its limits."""

    name: str
    inherits: bool
    member_of: tuple[str, ...] = ()
    limits: tuple[tuple[str, str], ...] = ()

    @property
    def login(self) -> bool:
        return self.name in LOGINS


# A transaction that nobody finishes holds back vacuum for every queue row: each login has an end to its patience.
_PATIENCE = (("idle_in_transaction_session_timeout", "60s"), ("lock_timeout", "10s"))
ROLES = (
    RoleSpec(OWNER, inherits=False),
    RoleSpec(APP, inherits=False),
    RoleSpec(DISPATCH, inherits=False),
    RoleSpec(OVERVIEW, inherits=False),
    RoleSpec(DATA, inherits=False),
    RoleSpec(OVERVIEW_GATE, inherits=False, member_of=(OVERVIEW,)),
    RoleSpec(WEB, inherits=True, member_of=(APP, OVERVIEW_GATE), limits=(*_PATIENCE, ("statement_timeout", "30s"))),
    RoleSpec(WORKER, inherits=True, member_of=(APP,), limits=(*_PATIENCE, ("statement_timeout", "60s"))),
    RoleSpec(SCHEDULER, inherits=True, member_of=(APP,), limits=(*_PATIENCE, ("statement_timeout", "60s"))),
    RoleSpec(MIGRATE, inherits=False, member_of=(OWNER, DISPATCH, DATA)),
)
NAMES = tuple(role.name for role in ROLES)


def ensure_roles(superuser_dsn: str, passwords: Mapping[str, str], *, database: str = DATABASE) -> None:
    """Make the roles, their memberships and ``database`` as they should be; harmless to call again.

    ``superuser_dsn`` leads to any database of the cluster as a superuser. ``passwords`` maps login roles to their
    passwords; a login that is missing keeps the one it has. Blocks: call it through ``asyncio.to_thread`` in a loop.

    Raises KeyError for a name that is no login role, psycopg.Error where the cluster refuses.
    """
    unknown = set(passwords) - set(LOGINS)
    if unknown:
        raise KeyError(f"Not a login role: {', '.join(sorted(unknown))}")
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            for role in ROLES:
                _ensure_role(connection, role)
            for role in ROLES:
                _ensure_memberships(connection, role)
            for name, password in passwords.items():
                _set_password(connection, name, password)
        _ensure_database(connection, database)
    with psycopg.connect(superuser_dsn, dbname=database, autocommit=True) as connection:
        _ensure_schema_rights(connection)


def _ensure_role(connection: psycopg.Connection, role: RoleSpec) -> None:
    found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role.name]).fetchone()
    options = sql.SQL(" ").join(
        [
            sql.SQL("LOGIN" if role.login else "NOLOGIN"),
            sql.SQL("INHERIT" if role.inherits else "NOINHERIT"),
            sql.SQL("NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"),
        ]
    )
    verb = sql.SQL("ALTER ROLE" if found else "CREATE ROLE")
    connection.execute(sql.SQL("{} {} WITH {}").format(verb, sql.Identifier(role.name), options))
    for name, value in role.limits:
        connection.execute(
            sql.SQL("ALTER ROLE {} SET {} = {}").format(
                sql.Identifier(role.name), sql.Identifier(name), sql.Literal(value)
            )
        )


def _ensure_memberships(connection: psycopg.Connection, role: RoleSpec) -> None:
    """Grant what ``role`` is a member of, and take back any other of our roles that it was given."""
    held = connection.execute(
        "SELECT g.rolname FROM pg_auth_members m"
        " JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = %s",
        [role.name],
    ).fetchall()
    for (name,) in held:
        if name not in role.member_of:
            connection.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(name), sql.Identifier(role.name)))
    for name in role.member_of:
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(name), sql.Identifier(role.name)))


def _set_password(connection: psycopg.Connection, name: str, password: str) -> None:
    """Send the SCRAM verifier, not the password: the statement may end in a log."""
    verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(verifier)))


def _ensure_database(connection: psycopg.Connection, database: str) -> None:
    """Create ``database`` where it is missing; it belongs to the owner role and only our logins may enter."""
    name, owner = sql.Identifier(database), sql.Identifier(OWNER)
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(name, owner)
        )
    connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    logins = sql.SQL(", ").join(map(sql.Identifier, LOGINS))
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, logins))


def _ensure_schema_rights(connection: psycopg.Connection) -> None:
    """Tables stand in ``public``, doors in ``doors``; nobody but their owners makes anything in either."""
    holders = sql.SQL(", ").join(map(sql.Identifier, (APP, DISPATCH, OVERVIEW, DATA)))
    callers = sql.SQL(", ").join(map(sql.Identifier, (*LOGINS, APP)))
    for statement in (
        sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(OWNER)),
        sql.SQL("REVOKE ALL ON SCHEMA public FROM PUBLIC"),
        sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(holders),
        sql.SQL("CREATE SCHEMA IF NOT EXISTS doors AUTHORIZATION {}").format(sql.Identifier(DISPATCH)),
        sql.SQL("REVOKE ALL ON SCHEMA doors FROM PUBLIC"),
        sql.SQL("GRANT USAGE ON SCHEMA doors TO {}").format(callers),
        # The owner makes the one door that needs ownership (partition upkeep) and then leaves the schema to dispatch.
        sql.SQL("GRANT USAGE, CREATE ON SCHEMA doors TO {}").format(sql.Identifier(OWNER)),
        sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC").format(
            sql.Identifier(DISPATCH)
        ),
        sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC").format(
            sql.Identifier(OWNER)
        ),
    ):
        connection.execute(statement)
