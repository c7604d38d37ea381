"""Migrations, called by the command line and the tests. They block: use asyncio.to_thread inside a loop."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.errors import UndefinedTable

from app.core.home import PROJECT
from app.data.routing import connector


def upgrade(dsn: str, revision: str = "head") -> str:
    """Bring the database at ``dsn`` (as opsloom_migrate) up to ``revision``; gives the revision it then has.

    Raises psycopg.Error where it refuses; nothing is changed then.
    """
    command.upgrade(_config(dsn), revision)
    return current(dsn) or ""


def downgrade(dsn: str, revision: str = "base") -> str | None:
    """Take the database back to ``revision``. Rows of dropped tables are gone."""
    command.downgrade(_config(dsn), revision)
    return current(dsn)


def current(dsn: str) -> str | None:
    """The revision the database has, None where it has none."""
    with connector(dsn)() as connection:
        connection.execute("SET ROLE opsloom_owner")
        try:
            row = connection.execute("SELECT version_num FROM public.alembic_version").fetchone()
        except UndefinedTable:
            return None
    return row[0] if row else None


def head() -> str:
    """The newest revision there is."""
    return ScriptDirectory.from_config(_config("")).get_current_head() or ""


def pending(dsn: str) -> bool:
    """Whether ``upgrade`` would change anything."""
    return current(dsn) != head()


def _config(dsn: str) -> Config:
    config = Config(str(PROJECT / "alembic.ini"))
    config.attributes["dsn"] = dsn
    return config
