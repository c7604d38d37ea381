"""Of a month of which the default partition holds too much to move, the rest is made."""

from pathlib import Path

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"


def upgrade() -> None:
    _execute((_SQL / "0025" / "partitions.sql").read_text())


def downgrade() -> None:
    former = (_SQL / "0023" / "partitions.sql").read_text()
    month = former[former.index("CREATE FUNCTION make_history_month(") : former.index("REVOKE ALL ON FUNCTION")]
    _execute(month.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    former = (_SQL / "0010" / "partitions.sql").read_text()
    dropping = former[former.index("CREATE FUNCTION doors.drop_empty_partitions(") :]
    _execute(dropping.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    _execute("DROP FUNCTION attach_history(text, uuid, uuid); DROP FUNCTION uuid7_near(uuid, integer)")


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
