"""What all walks of a worker share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.engine.runtime.channel import Announcer
from app.engine.runtime.clients import Clients, OpenClient
from app.engine.runtime.heads import Heads
from app.engine.runtime.pace import Pace
from app.engine.runtime.record import Record
from app.engine.runtime.store import Store
from app.engine.runtime.vaulting import SecretStore


@dataclass(frozen=True)
class Engine:
    """Given to every walk by the composition root (:mod:`app.worker`)."""

    store: Store
    announcer: Announcer
    pace: Pace
    heads: Heads
    open_client: OpenClient
    vault: SecretStore
    wake: Any  # () -> Awaitable[None]: asks a worker to look

    def clients(self, record: Record) -> Clients:
        return Clients(record.context, self.open_client, self.pace, record.connections, record.agreed_connections)
