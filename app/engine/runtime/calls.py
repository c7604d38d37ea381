"""What steps ask of their platforms: within the step's time, and a look no longer than its run wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from app.engine.core.graph import GraphNode
from app.engine.runtime.clients import Clients
from app.engine.runtime.journal import Journal
from connectors.errors import Throttled

T = TypeVar("T")


class Interrupted(Exception):
    """The run was cancelled while a step was only looking at its platform."""


@dataclass
class Calls:
    """The calls of one walk. Where a platform throttles one, every worker hears of it."""

    clients: Clients
    journal: Journal
    _looks: set[asyncio.Timeout] = field(init=False, default_factory=set)

    def halt(self) -> None:
        """The run was cancelled: looks at platforms are cut off. A write that was sent is waited for."""
        for look in self._looks:
            look.reschedule(0)

    async def look(self, node: GraphNode, work: Coroutine[Any, Any, T]) -> T:
        """What changes nothing. Raises Interrupted as soon as the run is cancelled, and as :meth:`act`."""
        return await self.act(node, self._looked(node, work))

    async def act(self, node: GraphNode, work: Awaitable[T]) -> T:
        """``work``, awaited as long as the step allows (300 s unless it says otherwise). Raises TimeoutError."""
        try:
            async with asyncio.timeout(node.timeout_s):
                return await work
        except Throttled as error:
            await self.clients.throttled(node.node.connection or "", error.retry_after)
            raise

    async def _looked(self, node: GraphNode, work: Coroutine[Any, Any, T]) -> T:
        bound = asyncio.timeout(node.timeout_s)
        try:
            async with bound:
                if not self.journal.state.cancelling:
                    self._looks.add(bound)
                    return await work
        except TimeoutError:
            if not (self.journal.state.cancelling and bound.expired()):
                raise
        finally:
            self._looks.discard(bound)
            work.close()
        raise Interrupted
