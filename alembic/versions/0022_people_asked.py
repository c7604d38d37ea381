"""That people are asked something, or reminded of it, is a happening."""

from pathlib import Path

from alembic import op

from app.data import roles

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"
_KINDS = ("run_ended", "approval_decided", "drift_found", "drift_cleared", "change_seen")
_MORE = ("people_asked", "people_reminded")


def upgrade() -> None:
    _kinds(*_KINDS, *_MORE)
    _execute((_SQL / "0022" / "asked.sql").read_text())


def downgrade() -> None:
    for table in ("approvals", "forms"):
        for name in _MORE:
            _execute(f"DROP TRIGGER {name} ON {table}")
    _execute("DROP FUNCTION opsloom_people_asked()")
    _execute(f"SET LOCAL ROLE {roles.DATA}")
    _execute("DELETE FROM happenings WHERE kind IN ('people_asked', 'people_reminded')")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")
    _kinds(*_KINDS)


def _kinds(*kinds: str) -> None:
    _execute("ALTER TABLE happenings DROP CONSTRAINT happenings_kind_check")
    named = ", ".join(f"'{kind}'" for kind in kinds)
    _execute(f"ALTER TABLE happenings ADD CONSTRAINT happenings_kind_check CHECK (kind IN ({named}))")


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
