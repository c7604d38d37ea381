"""An undo knows the connections that what it takes back was done with."""

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"


def upgrade() -> None:
    _execute((_SQL / "0021" / "engine_load.sql").read_text())


def downgrade() -> None:
    _execute((_SQL / "0019" / "engine_load.sql").read_text())


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
