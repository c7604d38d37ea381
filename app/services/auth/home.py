"""An account's own affairs (sessions, tokens, second factor) belong to its home client."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import select

from app.core.context import Actor, Context
from app.core.errors import NotSignedIn
from app.data import doors
from app.data.models.people import Account
from app.data.session import door_session, tenant_session
from app.services.auth.names import email_key


def home_context(actor: Actor, client_id: UUID) -> Context:
    """The context in which an account's own affairs are changed and audited. It carries no permission."""
    return Context(client_id=client_id, client_slug="", actor=actor, role="self")


async def home_of(actor: Actor) -> Context:
    """As :func:`home_context`, for whoever acts. Raises NotSignedIn for the system and for a vanished account."""
    if actor.account_id is None:
        raise NotSignedIn()
    async with door_session() as session:
        found = await doors.account_by_email(session, email_key(actor.email))
    if found is None or found.id != actor.account_id:
        raise NotSignedIn()
    return home_context(actor, found.client_id)


async def load_account(client_id: UUID, account_id: UUID) -> Account:
    """The row of an account in its home client."""
    async with tenant_session(client_id) as session:
        query = select(Account).where(Account.client_id == client_id, Account.id == account_id)
        return (await session.exec(query)).one()
