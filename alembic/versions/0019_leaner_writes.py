"""Leaner writes: less for PostgreSQL to read, look up and index with each statement of a run, and the same kept."""

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"


def upgrade() -> None:
    for name in ("tables", "ends", "wake_run", "audit", "engine_load", "engine"):
        _execute((_SQL / "0019" / f"{name}.sql").read_text())


def downgrade() -> None:
    _execute(_former("0018", "engine.sql").replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    _execute(_former("0018", "engine_load.sql"))
    _execute(_former("0018", "audit.sql"))
    _execute(_former("0004", "wake_run.sql", "CREATE OR REPLACE FUNCTION wake_run(", "$$;"))
    for trigger in ("run_ended", "run_ended_at_once"):
        _execute(f"DROP TRIGGER {trigger} ON runs")
    _execute("DROP FUNCTION opsloom_run_ended()")
    _execute(_former("0003", "tables.sql", "CREATE FUNCTION note_run_end()", "EXECUTE FUNCTION note_run_end();"))
    _execute(_former("0009", "search.sql", "CREATE FUNCTION opsloom_index_run()"))
    _execute("REVOKE ALL ON FUNCTION opsloom_index_run() FROM PUBLIC")
    _execute((_SQL / "0019" / "former_tables.sql").read_text())


def _former(folder: str, file: str, begin: str = "", end: str = "") -> str:
    """What an earlier migration made: its file, or the part that begins and ends so."""
    text = (_SQL / folder / file).read_text()
    text = text[text.index(begin) :]
    return text.partition(end)[0] + end if end else text


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
