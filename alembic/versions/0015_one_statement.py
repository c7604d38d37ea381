"""A commit of the engine keeps the plan too, and audit events are added to their chain by one statement."""

from pathlib import Path

from alembic import op

from app.data import roles

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"
_APPEND = "audit_append(uuid, jsonb)"


def upgrade() -> None:
    _execute((_SQL / "0015" / "engine.sql").read_text())
    _execute((_SQL / "0015" / "audit.sql").read_text())
    _execute(f"REVOKE ALL ON FUNCTION {_APPEND} FROM PUBLIC")
    _execute(f"GRANT EXECUTE ON FUNCTION {_APPEND} TO {roles.WEB}, {roles.WORKER}, {roles.SCHEDULER}")


def downgrade() -> None:
    _execute(f"DROP FUNCTION {_APPEND}")
    _execute((_SQL / "0005" / "engine.sql").read_text())


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
