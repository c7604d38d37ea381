"""How migrations run: as the migration login, become the owner, one transaction for all of them."""

from alembic import context
from sqlalchemy import Connection, create_engine, pool

from app.core.settings import get_settings
from app.data import roles
from app.data.routing import connector


def _address() -> str:
    return context.config.attributes.get("dsn") or get_settings().database_url("migrate")


def _migrate(connection: Connection) -> None:
    # Two processes that start at the same time migrate one after the other.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(x'0d5101'::bigint)")
    connection.exec_driver_sql("SET LOCAL lock_timeout = '30s'")
    connection.exec_driver_sql(f"SET LOCAL ROLE {roles.OWNER}")
    connection.exec_driver_sql("SET LOCAL search_path = public")
    context.configure(connection=connection, target_metadata=None, transactional_ddl=True)
    context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("Migrations need a database: they make partitions for the present months.")
engine = create_engine("postgresql+psycopg://", creator=connector(_address()), poolclass=pool.NullPool)
with engine.begin() as connection:
    _migrate(connection)
engine.dispose()
