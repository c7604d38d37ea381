"""What starts runs by itself, what came of it, and what has happened."""

from pathlib import Path

from alembic import op

from app.data import rls, roles

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql" / "0003"
_TABLES = {
    "triggers": rls.READ_WRITE,
    "trigger_firings": (rls.SELECT, rls.INSERT, rls.DELETE),
    "happenings": (*rls.READ_WRITE, rls.DELETE),
}
_DISPATCH = {
    "triggers": {rls.SELECT: ("client_id", "id", "next_at")},
    "happenings": {rls.SELECT: ("client_id", "ready_at")},
}


def upgrade() -> None:
    _execute((_SQL / "tables.sql").read_text())
    for table, verbs in _TABLES.items():
        _run(rls.tenant_table(table, verbs))
    _run(rls.overview("triggers"))
    for table, grants in _DISPATCH.items():
        _run(rls.dispatch(table, grants))
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    _execute((_SQL / "doors.sql").read_text())
    _execute("REVOKE ALL ON FUNCTION doors.due_triggers(integer) FROM PUBLIC")
    _execute(f"GRANT EXECUTE ON FUNCTION doors.due_triggers(integer) TO {roles.SCHEDULER}")
    # The scheduler starts runs on behalf of people, and so must know who they are and what they may.
    _execute(f"GRANT EXECUTE ON FUNCTION doors.members() TO {roles.SCHEDULER}")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")


def downgrade() -> None:
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    _execute(f"REVOKE EXECUTE ON FUNCTION doors.members() FROM {roles.SCHEDULER}")
    _execute("DROP FUNCTION doors.due_triggers(integer)")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")
    _execute("DROP TRIGGER note_decision ON approvals")
    _execute("DROP TRIGGER note_end ON runs")
    _execute("DROP FUNCTION note_decision()")
    _execute("DROP FUNCTION note_run_end()")
    for table in ("happenings", "trigger_firings", "triggers"):
        _execute(f"DROP TABLE {table}")


def _run(statements) -> None:
    for statement in statements:
        _execute(statement)


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
