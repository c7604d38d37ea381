"""Who works, at what, and for which clients: leases with their code and last sign, and doors for the health page."""

from pathlib import Path

from alembic import op

from app.data import roles

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"
_REGISTER = "register_worker(uuid, text, text, double precision{code})"
_DOORS = ("lease_holders()", "runs_at_hand(uuid[], integer)", "queue_by_client(uuid[], integer)")


def upgrade() -> None:
    _execute("ALTER TABLE worker_leases ADD COLUMN code text NOT NULL DEFAULT ''")
    _execute("ALTER TABLE worker_leases ADD COLUMN heard_at timestamptz NOT NULL DEFAULT clock_timestamp()")
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    _execute(f"DROP FUNCTION doors.{_REGISTER.format(code='')}")
    _execute((_SQL / "0012" / "leases.sql").read_text())
    _execute((_SQL / "0012" / "health.sql").read_text())
    _allow(_REGISTER.format(code=", text"), roles.WORKER, roles.SCHEDULER)
    for door in _DOORS:
        _allow(door, roles.WEB)
    _execute(f"SET LOCAL ROLE {roles.OWNER}")


def downgrade() -> None:
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    for door in (*_DOORS, _REGISTER.format(code=", text")):
        _execute(f"DROP FUNCTION doors.{door}")
    _execute(_former("register_worker"))
    _execute(_former("renew_worker").replace("CREATE ", "CREATE OR REPLACE ", 1))
    _allow(_REGISTER.format(code=""), roles.WORKER, roles.SCHEDULER)
    _execute(f"SET LOCAL ROLE {roles.OWNER}")
    _execute("ALTER TABLE worker_leases DROP COLUMN code, DROP COLUMN heard_at")


def _allow(door: str, *callers: str) -> None:
    _execute(f"REVOKE ALL ON FUNCTION doors.{door} FROM PUBLIC")
    _execute(f"GRANT EXECUTE ON FUNCTION doors.{door} TO {', '.join(callers)}")


def _former(name: str) -> str:
    """A door as it was made first."""
    text = (_SQL / "0001" / "doors_queue.sql").read_text()
    began = text.index(f"CREATE FUNCTION doors.{name}(")
    return text[began : text.index("\n$$;\n", began) + len("\n$$;\n")]


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
