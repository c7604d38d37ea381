"""A client to run workflows for, made by the product's own verbs."""

from __future__ import annotations

from typing import Any

from app.core.context import Actor, Context
from app.core.ids import new_id
from app.services import accounts, clients

ALL_ALLOWED: dict[str, Any] = {"rules": []}


async def make_tenant() -> Context:
    """A new client with an owner, whose policy asks nobody."""
    setup = clients.system_context("setup", new_id()).actor
    mark = new_id().hex[-10:]
    made = await clients.add_client(setup, slug=f"bench-{mark}", name=f"Bench {mark}")
    here = clients.system_context("setup", made.id, made.slug)
    person = await accounts.create(here, email=f"owner-{mark}@bench.example", name="Owner", role="owner")
    owner = await clients.enter(Actor(account_id=person.id, email=person.email, name=person.name), made.slug)
    await clients.update_policy(owner, policy=ALL_ALLOWED)
    return owner
