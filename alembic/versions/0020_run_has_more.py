"""A run says whether there is more of it than most have, so that reading one need not look for that."""

from pathlib import Path

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"


def upgrade() -> None:
    _execute((_SQL / "0020" / "has_more.sql").read_text())


def downgrade() -> None:
    for table in ("approvals", "forms", "reveals"):
        _execute(f"DROP TRIGGER more_of_run ON {table}")
    _execute("DROP TRIGGER run_after_run ON runs")
    for function in ("opsloom_more_of_run", "opsloom_run_after_run"):
        _execute(f"DROP FUNCTION {function}()")
    _execute("ALTER TABLE runs DROP COLUMN has_more")


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
