"""What a client may take: runs walked at once, runs begun in a minute; and how long its history is kept."""

from pathlib import Path

from alembic import op

from app.data import rls, roles

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"
_WAKE = "wake_run(uuid, uuid, timestamptz, smallint)"
_FOR_TENANTS = ("opsloom_start_at(uuid)", "opsloom_pace_again(uuid)")


def upgrade() -> None:
    _execute("""
        CREATE TABLE client_limits (
            client_id         uuid PRIMARY KEY REFERENCES clients (client_id),
            max_running       integer CHECK (max_running > 0),
            starts_per_minute integer CHECK (starts_per_minute > 0),
            next_start_at     timestamptz,
            history_days      integer CHECK (history_days > 0)
        ) WITH (fillfactor = 50)""")
    for statement in rls.tenant_table("client_limits"):
        _execute(statement)
    for statement in rls.dispatch("client_limits", {rls.SELECT: ("client_id", "max_running", "history_days")}):
        _execute(statement)
    _execute("ALTER TABLE run_queue ADD COLUMN paced boolean NOT NULL DEFAULT false")
    _execute("CREATE INDEX run_queue_claimed ON run_queue (client_id) WHERE worker_id IS NOT NULL")
    _execute((_SQL / "0004" / "wake_run.sql").read_text())
    for function in _FOR_TENANTS:
        _execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        _execute(f"GRANT EXECUTE ON FUNCTION {function} TO {roles.APP}")
    _claims("claim_runs(uuid, integer)", (_SQL / "0004" / "doors.sql").read_text(), "claim_runs(uuid, integer, integer)")


def downgrade() -> None:
    former = _function("0001/doors_queue.sql", "doors.claim_runs")
    _claims("claim_runs(uuid, integer, integer)", former, "claim_runs(uuid, integer)")
    _execute(f"DROP FUNCTION {_WAKE}")
    for function in _FOR_TENANTS:
        _execute(f"DROP FUNCTION {function}")
    _execute("DROP INDEX run_queue_claimed")
    _execute("ALTER TABLE run_queue DROP COLUMN paced")
    _execute(_function("0001/engine.sql", "wake_run"))
    _execute(f"REVOKE ALL ON FUNCTION {_WAKE} FROM PUBLIC")
    _execute(f"GRANT EXECUTE ON FUNCTION {_WAKE} TO {roles.APP}")
    _execute("DROP TABLE client_limits")


def _claims(former: str, text: str, made: str) -> None:
    """Put another claim door in the place of the former one."""
    _execute(f"SET LOCAL ROLE {roles.DISPATCH}")
    _execute(f"DROP FUNCTION doors.{former}")
    _execute(text)
    _execute(f"REVOKE ALL ON FUNCTION doors.{made} FROM PUBLIC")
    _execute(f"GRANT EXECUTE ON FUNCTION doors.{made} TO {roles.WORKER}")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")


def _function(file: str, name: str) -> str:
    """The text of one function of an earlier migration."""
    text = (_SQL / file).read_text()
    began = text.index(f"CREATE FUNCTION {name}(")
    return text[began : text.index("\n$$;\n", began) + len("\n$$;\n")]


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
