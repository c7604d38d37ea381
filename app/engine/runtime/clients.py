"""The platforms' clients that one walk uses: opened at first use, closed with the walk, never shared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from copy import copy
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

import structlog

from app.core.context import Context
from app.data.models.connections import Connection
from app.data.session import tenant_session
from app.engine.runtime.pace import PLAN_PATIENCE_S, STEP_PATIENCE_S, Lane, Pace
from connectors import registry
from connectors.base import Client
from connectors.errors import Rejected

T = TypeVar("T")
Connections = Mapping[str, Mapping[str, Any]]
log = structlog.get_logger(__name__)

OpenClient = Callable[[Context, str, UUID | None, Callable[[float], None]], Awaitable[Client]]
"""Opens the connection with this alias and id for the context's client, reading its credential from the vault. What it
opens tells the last for how many seconds its platform asks to be left alone, from any thread."""


class WrongClient(RuntimeError):
    """A credential of another client was about to be used. A defect of ours; nothing was sent."""


def replaced(alias: str) -> Rejected:
    """The alias leads to another connection by now."""
    message = f"The connection {alias} is not the one that this was planned with: it was replaced since. Plan anew."
    return Rejected(message, code="connection_replaced", field="connection")


class Clients:
    """One client's connections, by alias. ``connections`` are those of the run's record, ``agreed`` those that people
    agreed to: an alias can be given to another connection meanwhile, and what was approved for one tenant must not be
    done in another."""

    def __init__(
        self,
        context: Context,
        open_client: OpenClient,
        pace: Pace,
        connections: Connections,
        agreed: Connections = MappingProxyType({}),
    ) -> None:
        self._context = context
        self._open_client = open_client
        self._pace = pace
        self._connections = connections
        self._agreed = agreed
        self._opening: dict[str, asyncio.Task[Client]] = {}
        self._lanes: dict[str, Lane] = {}
        self._holding: set[asyncio.Task[None]] = set()

    @property
    def client_id(self) -> UUID:
        return self._context.client_id

    def held_to(self, agreed: Connections) -> Clients:
        """The same clients for another run, with what was agreed to for that."""
        other = copy(self)
        other._agreed = agreed
        return other

    async def get(self, alias: str) -> Client:
        """The client of ``alias``. Raises the opener's errors, Rejected where the alias leads elsewhere than was agreed
        to, WrongClient where it is not this client's."""
        self._require_agreed(alias)
        task = self._opening.get(alias)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._opening[alias] = asyncio.create_task(self._open(alias))
        return await asyncio.shield(task)

    async def look(self, alias: str, work: Callable[[], Awaitable[T]], *, patience_s: float = PLAN_PATIENCE_S) -> T:
        """Do what only looks, when it is its turn, and again where it was throttled. Raises HeldBack."""
        lane = await self._lane(alias)
        return await (self._pace.look(lane, work, patience_s=patience_s) if lane else work())

    async def enter(self, alias: str) -> None:
        """Wait for one's turn at the platform. Raises HeldBack where that takes long; nothing is held then."""
        if lane := await self._lane(alias):
            await self._pace.enter(lane, STEP_PATIENCE_S)

    async def throttled(self, alias: str, seconds: float) -> None:
        """The platform asked to be left alone: every worker hears of it."""
        if lane := await self._lane(alias):
            await self._pace.hold(lane, seconds)

    def _teller(self, alias: str) -> Callable[[float], None]:
        """Lets every worker hear at once of what a client hears that waits and asks again by itself."""
        loop = asyncio.get_running_loop()

        def hold(seconds: float) -> None:
            task = asyncio.create_task(self._hold(alias, seconds))
            self._holding.add(task)
            task.add_done_callback(self._holding.discard)

        def tell(seconds: float) -> None:
            with suppress(RuntimeError):  # a thread that outlives the loop has nobody to tell
                loop.call_soon_threadsafe(hold, seconds)

        return tell

    async def _hold(self, alias: str, seconds: float) -> None:
        try:
            await self.throttled(alias, seconds)
        except Exception as error:
            # The platform's own answers are all there is then, as without Redis.
            log.warning("pace.not_told", error=type(error).__name__)

    async def _lane(self, alias: str) -> Lane | None:
        """The connection as the pace knows it; None where there is no such connection, which opening it will tell."""
        known = self._connections.get(alias)
        if known is None:
            return None
        if alias not in self._lanes:
            connection_id = UUID(str(known["id"]))
            async with tenant_session(self._context) as session:
                row = await session.get(Connection, (self.client_id, connection_id))
            config = row.config if row else {}
            rate = registry.connector(str(known["platform"])).rate_of(config)
            self._lanes[alias] = Lane(self.client_id, connection_id, rate)
        return self._lanes[alias]

    async def _open(self, alias: str) -> Client:
        known = self._connections.get(alias)
        connection_id = UUID(str(known["id"])) if known else None
        client = await self._open_client(self._context, alias, connection_id, self._teller(alias))
        if client.client_id != self._context.client_id:
            await client.aclose()
            raise WrongClient(f"the client of {alias} belongs to another client")
        return client

    def _require_agreed(self, alias: str) -> None:
        agreed, known = self._agreed.get(alias), self._connections.get(alias)
        if agreed is None or known is None:
            return
        same_tenant = agreed["tenant"] in (None, known.get("tenant"))
        if str(known["id"]) != agreed["id"] or not same_tenant:
            raise replaced(alias)

    async def aclose(self) -> None:
        """Close what was opened."""
        await asyncio.gather(*self._holding, return_exceptions=True)
        for task in self._opening.values():
            with suppress(Exception, asyncio.CancelledError):
                client = await task
                await client.aclose()
