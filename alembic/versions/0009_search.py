"""Finding runs by their words and ends, and what was done to a target."""

from pathlib import Path

from alembic import op

from app.data import rls, roles

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql"
_WORDS = ("opsloom_words(text, jsonb, jsonb)", "opsloom_has_words(text[], text, jsonb, jsonb)")


def upgrade() -> None:
    _execute((_SQL / "0009" / "search.sql").read_text())
    for statement in rls.tenant_table("run_words", rls.ADD_ONLY):
        _execute(statement)
    for function in (*_WORDS, "opsloom_index_run()"):
        _execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    for function in _WORDS:
        _execute(f"GRANT EXECUTE ON FUNCTION {function} TO {roles.APP}, {roles.DATA}")
    _execute(f"SET LOCAL ROLE {roles.DATA}")
    _execute("""
        INSERT INTO run_words (client_id, word, run_id)
        SELECT r.client_id, found.word, r.id FROM runs r, opsloom_words(r.label, r.inputs, r.reason) AS found (word)
         WHERE r.finished_at IS NOT NULL""")
    _execute(f"SET LOCAL ROLE {roles.OWNER}")


def downgrade() -> None:
    _execute("DROP TRIGGER runs_indexed ON runs")
    _execute("DROP TRIGGER runs_indexed_at_once ON runs")
    _execute("DROP FUNCTION opsloom_index_run()")
    for function in reversed(_WORDS):
        _execute(f"DROP FUNCTION {function}")
    _execute("DROP TABLE run_words")
    _execute("ALTER TABLE step_events DROP COLUMN target")
    _execute("ALTER TABLE runs DROP COLUMN outcome")
    _execute("DROP INDEX runs_heads")


def _execute(sql: str) -> None:
    """Past SQLAlchemy, which would look for placeholders in the text."""
    op.get_bind().connection.driver_connection.execute(sql)
