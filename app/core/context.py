"""Who acts, and for which client. Every verb takes one of these first; nothing reads it from a global."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from app.core import metrics
from app.core.errors import Forbidden


@dataclass(frozen=True)
class Actor:
    """A signed-in account, or the system itself (``account_id`` None) with the name of the part that acts.

    ``via`` is ``session``, ``token`` or ``system``. ``ip`` is the address the request came from. ``clients`` limits an
    API token to some clients; None means all that the account is a member of.
    """

    account_id: UUID | None
    email: str
    name: str = ""
    via: str = "session"
    session_id: UUID | None = None
    ip: str | None = None
    locale: str = "en"
    clients: frozenset[UUID] | None = None


@dataclass(frozen=True)
class Context:
    """An actor inside one client, with the permissions that their role there gives."""

    client_id: UUID
    client_slug: str
    actor: Actor
    role: str
    permissions: frozenset[str] = field(default_factory=frozenset)

    def require(self, permission: str) -> None:
        """Raise :class:`Forbidden` unless the actor has ``permission`` here."""
        if permission not in self.permissions:
            metrics.authorization_failures.labels(permission).inc()
            raise Forbidden(permission)


def system_actor(part: str) -> Actor:
    """The actor of what the product does by itself (``worker``, ``scheduler``, ``setup``)."""
    return Actor(account_id=None, email=f"{part}@system", name=part, via="system")
