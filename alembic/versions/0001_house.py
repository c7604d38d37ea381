"""The first tables, their policies, the doors and the engine's write."""

from pathlib import Path

from alembic import op

from app.data import rls, roles

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql" / revision

# Tables in the order they are made: what tenant sessions may do with their own rows.
_TENANT = {
    "clients": rls.READ_WRITE,
    "accounts": rls.READ_WRITE,
    "memberships": (*rls.READ_WRITE, rls.DELETE),
    "sessions": (*rls.READ_WRITE, rls.DELETE),
    "api_tokens": rls.READ_WRITE,
    "connections": rls.READ_WRITE,
    "workflows": rls.READ_WRITE,
    "workflow_versions": rls.READ_WRITE,
    "runs": rls.READ_WRITE,
    "run_plans": rls.READ_WRITE,
    "step_events": rls.ADD_ONLY,
    "run_queue": (*rls.READ_WRITE, rls.DELETE),
    "approvals": rls.READ_WRITE,
    "approval_decisions": rls.ADD_ONLY,
    "reveals": rls.READ_WRITE,
    "audit_events": rls.ADD_ONLY,
    "audit_heads": rls.READ_WRITE,
    "audit_checkpoints": rls.ADD_ONLY,
}
_UPDATE_ONLY = {"workflow_versions": ("published_at", "published_by")}
_OVERVIEW = ("clients", "connections", "workflows", "workflow_versions", "runs", "approvals", "audit_events")

# What the doors may touch. Columns are named where a row holds more than a door needs.
_EVERY_VERB = {rls.SELECT: (), rls.INSERT: (), rls.UPDATE: (), rls.DELETE: ()}
_DISPATCH = {
    "run_queue": {rls.SELECT: (), rls.UPDATE: ()},
    "worker_leases": _EVERY_VERB,
    "leaderships": _EVERY_VERB,
    "clients": {rls.SELECT: ("client_id", "slug", "name", "colour", "tags", "is_msp", "archived_at")},
    "memberships": {rls.SELECT: ("client_id", "account_id", "role", "created_at")},
    "accounts": {
        rls.SELECT: ("client_id", "id", "email", "email_key", "name", "locale", "theme", "disabled_at"),
    },
    "sessions": {
        rls.SELECT: (
            "client_id",
            "id",
            "account_id",
            "token_hash",
            "created_at",
            "last_seen_at",
            "expires_at",
            "absolute_expires_at",
            "replaced_by",
            "revoked_at",
            "stepped_up_at",
        ),
    },
    "api_tokens": {
        rls.SELECT: (
            "client_id",
            "id",
            "account_id",
            "token_hash",
            "clients",
            "expires_at",
            "revoked_at",
            "last_used_at",
        ),
    },
}

# Who may open which door.
_WEB, _WORKER, _SCHEDULER = roles.WEB, roles.WORKER, roles.SCHEDULER
_DOORS = {
    "account_by_email(text)": (_WEB,),
    "session_by_hash(bytea)": (_WEB,),
    "token_by_hash(bytea)": (_WEB,),
    "client_by_slug(text)": (_WEB,),
    "clients_of(uuid)": (_WEB,),
    "members()": (_WEB, _WORKER),
    "due_timers(integer)": (_WORKER, _SCHEDULER),
    "claim_runs(uuid, integer)": (_WORKER,),
    "release_run(uuid, uuid, uuid, bigint, integer, timestamptz)": (_WORKER,),
    "register_worker(uuid, text, text, double precision)": (_WORKER, _SCHEDULER),
    "renew_worker(uuid, double precision)": (_WORKER, _SCHEDULER),
    "drop_worker(uuid)": (_WORKER, _SCHEDULER),
    "reap_dead_workers()": (_WORKER, _SCHEDULER),
    "take_lead(text, uuid, double precision)": (_SCHEDULER,),
    "lease_valid(uuid)": (_WORKER,),
    "metrics()": (_WEB, _WORKER, _SCHEDULER),
}
_AUDIT_PARTITIONS = [f"audit_events_{part}" for part in range(8)]


def upgrade() -> None:
    _run_file("tables.sql")
    _run_file("partitions.sql")
    _run_file("audit.sql")
    _protect()
    _doors()
    _run_file("engine.sql")
    _execute(f"GRANT EXECUTE ON FUNCTION engine_commit(uuid, uuid, uuid, bigint, jsonb, jsonb, jsonb) TO {_WORKER}")
    _execute(f"GRANT EXECUTE ON FUNCTION wake_run(uuid, uuid, timestamptz, smallint) TO {roles.APP}")


def _protect() -> None:
    for table, verbs in _TENANT.items():
        _run(rls.tenant_table(table, verbs, update_only=_UPDATE_ONLY.get(table, ())))
    for table in ("worker_leases", "leaderships"):
        _run(rls.force(table))
    _run(rls.overview("memberships", rls.ACCOUNT_RULE))
    for table in _OVERVIEW:
        _run(rls.overview(table))
    for table, grants in _DISPATCH.items():
        _run(rls.dispatch(table, grants))
    for part in _AUDIT_PARTITIONS:
        _run(rls.copy_policies("audit_events", part))
    _run(rls.copy_policies("step_events", "step_events_default"))
    _execute("SELECT doors.maintain_partitions()")
    _execute(f"GRANT USAGE ON SEQUENCE run_fence TO {roles.DISPATCH}")


def _doors() -> None:
    _execute(f"GRANT EXECUTE ON FUNCTION doors.maintain_partitions(integer) TO {_SCHEDULER}")
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    _run_file("doors_sign_in.sql")
    _run_file("doors_queue.sql")
    for door, callers in _DOORS.items():
        _execute(f"REVOKE ALL ON FUNCTION doors.{door} FROM PUBLIC")
        _execute(f"GRANT EXECUTE ON FUNCTION doors.{door} TO {', '.join(callers)}")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")


def downgrade() -> None:
    _execute("DROP FUNCTION wake_run(uuid, uuid, timestamptz, smallint)")
    _execute("DROP FUNCTION engine_commit(uuid, uuid, uuid, bigint, jsonb, jsonb, jsonb)")
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    for door in reversed(_DOORS):
        _execute(f"DROP FUNCTION doors.{door}")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")
    _execute("DROP FUNCTION doors.maintain_partitions(integer)")
    _execute("ALTER TABLE workflows DROP CONSTRAINT workflows_published_fkey")
    for table in _OVERVIEW:
        _execute(f"DROP POLICY overview ON {table}")  # it looks into memberships
    for table in ("worker_leases", "leaderships", *reversed(_TENANT)):
        _execute(f"DROP TABLE {table}")
    _execute("DROP SEQUENCE run_fence")
    _execute("DROP FUNCTION refuse_audit_change()")
    _execute("DROP FUNCTION copy_policies(regclass, regclass)")
    _execute("DROP FUNCTION uuid7_at(timestamptz)")


def _run(statements) -> None:
    for statement in statements:
        _execute(statement)


def _run_file(name: str) -> None:
    _execute((_SQL / name).read_text())


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
