"""A month of history is made also where the default partition holds some of it, and no month keeps another from it; of
many words of a run those of its label and its error are kept."""

from pathlib import Path

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"


def upgrade() -> None:
    for name in ("partitions", "words"):
        _execute((_SQL / "0023" / f"{name}.sql").read_text())


def downgrade() -> None:
    _execute((_SQL / "0018" / "words.sql").read_text())
    former = (_SQL / "0001" / "partitions.sql").read_text()
    function = former[former.index("CREATE FUNCTION doors.maintain_partitions(") :]
    _execute(function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    _execute("DROP FUNCTION make_history_month(text, uuid, uuid)")


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
