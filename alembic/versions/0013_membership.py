"""A door to one membership: who enters a client need not read all the clients of the account."""

from pathlib import Path

from alembic import op

from app.data import roles

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"
_DOOR = "doors.membership(uuid, text, uuid)"


def upgrade() -> None:
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    _execute((_SQL / "0013" / "doors.sql").read_text())
    _execute(f"REVOKE ALL ON FUNCTION {_DOOR} FROM PUBLIC")
    _execute(f"GRANT EXECUTE ON FUNCTION {_DOOR} TO {roles.WEB}")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")


def downgrade() -> None:
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    _execute(f"DROP FUNCTION {_DOOR}")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
