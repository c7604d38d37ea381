"""Which server a transaction goes to: what decides reads the primary, lists and reports may read a replica."""

from __future__ import annotations

from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core.settings import Role, Settings, get_settings
from app.data.awake import Awake
from app.data.link import Link
from app.data.links import Links


class Route(StrEnum):
    """Grants, approvals, sessions and every write need ``PRIMARY``; a ``REPLICA`` may be a moment behind."""

    PRIMARY = "primary"
    REPLICA = "replica"


# After how many times a connection prepares a statement.
_PREPARED_AFTER = 5
# A link is asked for by somebody who waits: a server that does not answer is told soon.
_CONNECT_S = 5


async def prepare(connection: psycopg.AsyncConnection[Any], wanted: bool | None) -> None:
    """Let a fresh connection prepare the statements that come often.

    Where nobody has said whether it may (``wanted`` None), it does so unless a pooler is in between: one that pools by
    transaction may forget statements, or take them for those of another connection. It is known by the process that
    answers, which is another than the one that was connected to.
    """
    if wanted is None:
        answers = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
        wanted = answers is not None and answers[0] == connection.info.backend_pid
        await connection.rollback()
    connection.prepare_threshold = _PREPARED_AFTER if wanted else None


def connector(dsn: str) -> Callable[[], psycopg.Connection[Any]]:
    """Opens a blocking connection to ``dsn``, which stays out of SQLAlchemy's messages."""
    return lambda: psycopg.connect(dsn, prepare_threshold=None)


class Database:
    """The servers of one installation as one login role sees them.

    Engines are made when they are first used, one for each event loop: psycopg's connections belong to the loop they
    were opened in. ``prepares`` is as :func:`prepare` wants it; ``awake_s`` is how long a link waits for an answer
    before the loop may sleep.
    """

    def __init__(
        self,
        primary: str,
        replica: str | None = None,
        *,
        pool_size: int = 10,
        name: str = "opsloom",
        prepares: bool | None = None,
        awake_s: float = 0.0,
    ) -> None:
        self._addresses = {Route.PRIMARY: primary, Route.REPLICA: replica or primary}
        self._has_replica = bool(replica)
        self._pool_size = pool_size
        self._name = name
        self._prepares = prepares
        self._awake_s = awake_s
        self._engines: WeakKeyDictionary[AbstractEventLoop, dict[Route, AsyncEngine]] = WeakKeyDictionary()
        self._links: WeakKeyDictionary[AbstractEventLoop, Links] = WeakKeyDictionary()

    @property
    def dsn(self) -> str:
        """The primary's address, with its password: for code that uses psycopg itself. Never log it."""
        return self._addresses[Route.PRIMARY]

    def engine(self, route: Route = Route.PRIMARY) -> AsyncEngine:
        """The engine of ``route`` for the running event loop."""
        route = route if self._has_replica else Route.PRIMARY
        engines = self._engines.setdefault(get_running_loop(), {})
        if route not in engines:
            engines[route] = self._open(route)
        return engines[route]

    def links(self) -> Links:
        """Connections to the primary for the running event loop, each statement on them a transaction of its own."""
        loop = get_running_loop()
        if loop not in self._links:
            self._links[loop] = Links(partial(self._link, Awake(self._awake_s)), self._pool_size)
        return self._links[loop]

    async def dispose(self) -> None:
        """Close the connections that the running loop has opened."""
        if links := self._links.pop(get_running_loop(), None):
            await links.close()
        for engine in self._engines.pop(get_running_loop(), {}).values():
            await engine.dispose()

    async def _link(self, awake: Awake) -> Link:
        made = await self._connect(self.dsn, autocommit=True, connect_timeout=_CONNECT_S)
        prepares = made.prepare_threshold is not None
        if prepares:
            # What goes over links looks things up by their keys. To plan that anew for each value takes longer.
            await made.execute("SET plan_cache_mode = force_generic_plan")
        return Link(made, prepares=prepares, awake=awake)

    async def _connect(self, dsn: str, **options: Any) -> psycopg.AsyncConnection[Any]:
        made = await psycopg.AsyncConnection.connect(
            dsn, prepare_threshold=None, application_name=self._name, **options
        )
        await prepare(made, self._prepares)
        return made

    def _open(self, route: Route) -> AsyncEngine:
        async def connect(*_arguments: Any, **_options: Any) -> psycopg.AsyncConnection[Any]:
            return await self._connect(self._addresses[route], autocommit=False)

        return create_async_engine(
            "postgresql+psycopg://",
            async_creator=connect,
            pool_size=self._pool_size,
            max_overflow=self._pool_size,
            pool_use_lifo=True,
            pool_recycle=1800,
            hide_parameters=True,
        )


class _Current:
    """The database of this process."""

    database: Database | None = None


def configure(role: Role, settings: Settings | None = None) -> Database:
    """Use PostgreSQL as ``role`` (web, worker or scheduler) in this process. Called once, where the process starts."""
    settings = settings or get_settings()
    return use(
        Database(
            settings.database_url(role),
            settings.database_replica_url_web or None if role == "web" else None,
            pool_size=settings.database_pool_size,
            name=f"opsloom-{role}",
            prepares=settings.database_prepares,
            awake_s=settings.worker_awake_us / 1e6 if role == "worker" else 0.0,
        )
    )


def use(database: Database) -> Database:
    """Make ``database`` the one of this process (tests bring their own)."""
    _Current.database = database
    return database


def database() -> Database:
    """The database of this process. Raises RuntimeError before :func:`configure`."""
    if _Current.database is None:
        raise RuntimeError("app.data.routing.configure() has not been called in this process")
    return _Current.database


async def dispose() -> None:
    """Close this process's connections."""
    if _Current.database is not None:
        await _Current.database.dispose()
