"""Changes seen on a connection are happenings; whoever looks for dead workers waits for nobody."""

from pathlib import Path

from alembic import op

from app.data import roles

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"
_KINDS = ("run_ended", "approval_decided", "drift_found", "drift_cleared")


def upgrade() -> None:
    _kinds(*_KINDS, "change_seen")
    _door((_SQL / "0011" / "doors.sql").read_text())


def downgrade() -> None:
    former = (_SQL / "0001" / "doors_queue.sql").read_text()
    began = former.index("CREATE FUNCTION doors.reap_dead_workers(")
    _door("CREATE OR REPLACE " + former[began + len("CREATE ") : former.index("\n$$;\n", began) + len("\n$$;\n")])
    _execute(f"SET LOCAL ROLE {roles.DATA}")
    _execute("DELETE FROM happenings WHERE kind = 'change_seen'")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")
    _kinds(*_KINDS)


def _kinds(*kinds: str) -> None:
    _execute("ALTER TABLE happenings DROP CONSTRAINT happenings_kind_check")
    named = ", ".join(f"'{kind}'" for kind in kinds)
    _execute(f"ALTER TABLE happenings ADD CONSTRAINT happenings_kind_check CHECK (kind IN ({named}))")


def _door(text: str) -> None:
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    _execute(text)
    _execute(f"SET LOCAL ROLE {roles.OWNER}")


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
