"""What a worker reads to walk a run, and what was asked of the runs it holds."""

from pathlib import Path

from alembic import op

from app.data import roles

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"
_LOADING = (
    "opsloom_engine_load(uuid, uuid)",
    "opsloom_run_events(uuid, uuid)",
    "opsloom_run_document(uuid, runs)",
)


def upgrade() -> None:
    _execute((_SQL / "0002" / "engine_load.sql").read_text())
    for function in _LOADING:
        _execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        _execute(f"GRANT EXECUTE ON FUNCTION {function} TO {roles.WORKER}")
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    _execute((_SQL / "0002" / "doors.sql").read_text())
    _execute("REVOKE ALL ON FUNCTION doors.held_runs(uuid) FROM PUBLIC")
    _execute(f"GRANT EXECUTE ON FUNCTION doors.held_runs(uuid) TO {roles.WORKER}")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")


def downgrade() -> None:
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    _execute("DROP FUNCTION doors.held_runs(uuid)")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")
    for function in _LOADING:
        _execute(f"DROP FUNCTION {function}")


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
