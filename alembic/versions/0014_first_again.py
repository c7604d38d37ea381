"""What is taken from a worker comes first in its client's queue."""

from pathlib import Path

from alembic import op

from app.data import roles

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"


def upgrade() -> None:
    _doors((_SQL / "0014" / "doors.sql").read_text())


def downgrade() -> None:
    _doors(_former("drop_worker"), (_SQL / "0011" / "doors.sql").read_text())


def _former(name: str) -> str:
    """A door as it was made first, put in the place of what is there."""
    text = (_SQL / "0001" / "doors_queue.sql").read_text()
    began = text.index(f"CREATE FUNCTION doors.{name}(")
    return "CREATE OR REPLACE " + text[began + len("CREATE ") : text.index("\n$$;\n", began) + len("\n$$;\n")]


def _doors(*texts: str) -> None:
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    for text in texts:
        _execute(text)
    _execute(f"SET LOCAL ROLE {roles.OWNER}")


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
