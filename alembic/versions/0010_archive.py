"""History that is kept in files: what remains of it here, and the doors that remove it."""

from pathlib import Path

from alembic import op

from app.data import rls, roles

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"
_IDS = {rls.SELECT: ("client_id", "run_id"), rls.DELETE: ()}
_DISPATCH = {
    "runs": {rls.SELECT: ("client_id", "id", "archived_at")},
    "run_plans": _IDS,
    "step_events": _IDS,
}
_DOORS = ("history_clients(integer)", "drop_history(uuid[])", "history_is_empty(uuid, uuid)")
_PARTITIONS = "drop_empty_partitions(integer)"
# Partitions have their parent's policies, so a new policy goes to each of them.
_COPY_AGAIN = """
DO $$
DECLARE
    part record;
    pol  record;
BEGIN
    FOR part IN SELECT i.inhrelid::regclass AS name FROM pg_inherits i WHERE i.inhparent = 'step_events'::regclass LOOP
        FOR pol IN SELECT polname FROM pg_policy WHERE polrelid = part.name LOOP
            EXECUTE format('DROP POLICY %I ON %s', pol.polname, part.name);
        END LOOP;
        PERFORM copy_policies('step_events', part.name);
    END LOOP;
END
$$"""


def upgrade() -> None:
    _execute((_SQL / "0010" / "tables.sql").read_text())
    for statement in rls.tenant_table("archived_changes", rls.ADD_ONLY):
        _execute(statement)
    for table, grants in _DISPATCH.items():
        for statement in rls.dispatch(table, grants):
            _execute(statement)
    _execute(_COPY_AGAIN)
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    _execute((_SQL / "0010" / "doors.sql").read_text())
    for door in _DOORS:
        _execute(f"REVOKE ALL ON FUNCTION doors.{door} FROM PUBLIC")
        _execute(f"GRANT EXECUTE ON FUNCTION doors.{door} TO {roles.SCHEDULER}")
    _execute(f"GRANT EXECUTE ON FUNCTION doors.history_is_empty(uuid, uuid) TO {roles.OWNER}")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")
    _execute((_SQL / "0010" / "partitions.sql").read_text())
    _execute(f"REVOKE ALL ON FUNCTION doors.{_PARTITIONS} FROM PUBLIC")
    _execute(f"GRANT EXECUTE ON FUNCTION doors.{_PARTITIONS} TO {roles.SCHEDULER}")


def downgrade() -> None:
    _execute(f"DROP FUNCTION doors.{_PARTITIONS}")
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    for door in reversed(_DOORS):
        _execute(f"DROP FUNCTION doors.{door}")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")
    for table in _DISPATCH:
        for verb in _DISPATCH[table]:
            _execute(f"DROP POLICY dispatch_{verb.lower()} ON {table}")
        _execute(f"REVOKE ALL ON {table} FROM {roles.DISPATCH}")
        columns = ", ".join(_DISPATCH[table][rls.SELECT])
        _execute(f"REVOKE SELECT ({columns}) ON {table} FROM {roles.DISPATCH}")
    _execute(_COPY_AGAIN)
    _execute("DROP TABLE archived_changes")
    _execute("DROP INDEX runs_to_archive")
    _execute("ALTER TABLE runs DROP COLUMN archived_at, DROP COLUMN archive")


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
