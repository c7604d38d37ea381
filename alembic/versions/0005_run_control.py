"""Pauses, priorities, runs that follow others, and concurrency keys."""

from pathlib import Path

from alembic import op

from app.data import roles

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"
_COMMIT = "engine_commit(uuid, uuid, uuid, bigint, jsonb, jsonb, jsonb)"
_SLOTS = (
    "lock_slot(uuid, bytea)",
    "wake_next(uuid, bytea)",
    "take_slot(uuid, uuid, text, integer)",
    "leave_slot(uuid, uuid, text)",
    "give_slot(uuid, uuid, text)",
)


def upgrade() -> None:
    _execute((_SQL / "0005" / "tables.sql").read_text())
    _execute((_SQL / "0005" / "slots.sql").read_text())
    for function in _SLOTS:
        _execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        _execute(f"GRANT EXECUTE ON FUNCTION {function} TO {roles.WORKER}")
    _execute((_SQL / "0005" / "engine.sql").read_text())


def downgrade() -> None:
    former = (_SQL / "0001" / "engine.sql").read_text().partition("REVOKE ALL")[0]
    _execute(former.replace("CREATE FUNCTION engine_commit", "CREATE OR REPLACE FUNCTION engine_commit"))
    for function in reversed(_SLOTS):
        _execute(f"DROP FUNCTION {function}")
    _execute("ALTER TABLE run_queue DROP COLUMN slot_held, DROP COLUMN slot")
    _execute("ALTER TABLE runs DROP COLUMN follows, DROP COLUMN priority, DROP COLUMN pause_requested_at")


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
