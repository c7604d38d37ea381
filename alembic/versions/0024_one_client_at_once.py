"""What is written and read of several runs of one client takes a statement for all of them."""

from pathlib import Path

from alembic import op

from app.data import roles

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"
_PUT_ALL = "engine_put_all(uuid, uuid, uuid[], bigint[], jsonb[], jsonb[], jsonb[])"
_LOAD = "opsloom_engine_load(uuid, uuid[])"
_FORMER_LOAD = "opsloom_engine_load(uuid, uuid)"


def upgrade() -> None:
    _execute((_SQL / "0024" / "engine.sql").read_text())
    _execute(f"DROP FUNCTION {_FORMER_LOAD}")
    _execute((_SQL / "0024" / "engine_load.sql").read_text())
    for function in (_PUT_ALL, _LOAD):
        _for_the_worker(function)


def downgrade() -> None:
    former = (_SQL / "0019" / "engine.sql").read_text()
    _execute(former[former.index("CREATE OR REPLACE FUNCTION engine_commit_many(") :])
    _execute(f"DROP FUNCTION {_PUT_ALL}")
    _execute(f"DROP FUNCTION {_LOAD}")
    _execute((_SQL / "0021" / "engine_load.sql").read_text())
    _for_the_worker(_FORMER_LOAD)


def _for_the_worker(function: str) -> None:
    _execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    _execute(f"GRANT EXECUTE ON FUNCTION {function} TO {roles.WORKER}")


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
