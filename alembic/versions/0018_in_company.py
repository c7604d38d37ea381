"""Writes of several runs share a commit; a run that was never begun is loaded without a look for what it cannot have."""

from pathlib import Path

from alembic import op

from app.data import roles

revision = "0018"
down_revision = "0015"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"
_FUNCTIONS = (
    "engine_put(uuid, uuid, uuid, bigint, jsonb, jsonb, jsonb, boolean)",
    "engine_commit_many(uuid, jsonb, jsonb)",
)
_FORMER = (
    ("0015", "audit.sql", "audit_append("),
    ("0002", "engine_load.sql", "opsloom_engine_load("),
    ("0009", "search.sql", "opsloom_words("),
)


def upgrade() -> None:
    for name in ("engine", "audit", "engine_load", "words"):
        _execute((_SQL / "0018" / f"{name}.sql").read_text())
    for function in _FUNCTIONS:
        _execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        _execute(f"GRANT EXECUTE ON FUNCTION {function} TO {roles.WORKER}")


def downgrade() -> None:
    _execute((_SQL / "0015" / "engine.sql").read_text())
    for function in _FUNCTIONS:
        _execute(f"DROP FUNCTION {function}")
    for folder, file, function in _FORMER:
        _execute(_replacing((_SQL / folder / file).read_text(), function))


def _replacing(text: str, name: str) -> str:
    """A function as it was made first, put in the place of what is there."""
    began = text.index(f"CREATE FUNCTION {name}")
    return "CREATE OR REPLACE " + text[began + len("CREATE ") :].partition("$$;")[0] + "$$;"


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
