"""People and clients for tests, made by the product's own verbs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg

from app.core.context import Actor, Context
from app.core.crypto import token_hash
from app.core.ids import new_id
from app.services import accounts, auth, clients
from app.services.accounts import NewAccount
from app.services.clients import ClientView
from app.services.permissions import ROLES
from tests.servers import TestStack


@dataclass
class World:
    """``staff`` are accounts of the MSP by role, each with that role in ``one`` only; ``boss`` owns everything."""

    msp: ClientView
    one: ClientView
    two: ClientView
    boss: NewAccount
    staff: dict[str, NewAccount] = field(default_factory=dict)

    def actor(self, role: str) -> Actor:
        found = self.staff[role]
        return Actor(account_id=found.id, email=found.email, name=found.name)

    async def context(self, role: str) -> Context:
        return await clients.enter(self.actor(role), self.one.slug)


async def make_world() -> World:
    setup = clients.system_context("setup", new_id()).actor
    mark = new_id().hex[-8:]
    made = [
        await clients.add_client(setup, slug=f"{name}-{mark}", name=name.title(), is_msp=name == "msp")
        for name in ("msp", "harbour", "meadow")
    ]
    msp = clients.system_context("setup", made[0].id, made[0].slug)
    boss = await accounts.create(msp, email=f"boss-{mark}@msp.example", name="Béatrice Boss", role="owner")
    world = World(*made, boss=boss)
    for client in made[1:]:
        await accounts.grant(clients.system_context("setup", client.id, client.slug), email=boss.email, role="owner")
    one = clients.system_context("setup", made[1].id, made[1].slug)
    for role in ROLES:
        person = await accounts.create(msp, email=f"{role}-{mark}@msp.example", name=role.title(), role="portal")
        await accounts.grant(one, email=person.email, role=role)
        world.staff[role] = person
    return world


def code_of(person: NewAccount, *, steps: int = 0) -> str:
    """The code that the person's authenticator shows, ``steps`` times 30 seconds from now."""
    return auth.present_code(person.totp_secret, at=time.time() + 30 * steps)


def forget_codes(superuser_dsn: str, person: NewAccount) -> None:
    """Let the present code be used again: a test cannot wait half a minute for each sign-in."""
    with psycopg.connect(superuser_dsn, autocommit=True) as link:
        link.execute(
            "UPDATE accounts SET totp_last_timecode = NULL, failed_attempts = 0, locked_until = NULL WHERE id = %s",
            [person.id],
        )


async def sign_in(stack_superuser: str, person: NewAccount) -> auth.SignedIn:
    """A session of that person."""
    forget_codes(stack_superuser, person)
    return await auth.sign_in(
        email=person.email, password=person.password, otp=code_of(person), ip="192.0.2.1", user_agent="test"
    )


def age(stack: TestStack, token: str, by: timedelta) -> None:
    """Let this token, and what replaced it, be older than it is."""
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        account = link.execute("SELECT account_id FROM sessions WHERE token_hash = %s", [token_hash(token)]).fetchone()
        assert account
        link.execute(
            "UPDATE sessions SET created_at = created_at - %(by)s, last_seen_at = last_seen_at - %(by)s,"
            " expires_at = expires_at - %(by)s, absolute_expires_at = absolute_expires_at - %(by)s"
            " WHERE account_id = %(who)s",
            {"by": by, "who": account[0]},
        )
