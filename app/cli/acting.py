"""Who acts on the command line, and in which client.

With OPSLOOM_TOKEN it is whoever the token belongs to. Otherwise, and only where the embedded stack is local, it is the
owner of this machine: as the account named by ``--as``, or as the system itself.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from app.cli.common import local_settings
from app.core.context import Actor, Context
from app.core.errors import Invalid, Missing, Problem

TOKEN_VARIABLE = "OPSLOOM_TOKEN"  # noqa: S105 - the variable's name, not a token

Client = Annotated[str, typer.Option("--client", help="The client's slug.")]
As = Annotated[str, typer.Option("--as", help="E-mail of the account to act as (local stack only).")]


async def context(client: str, email: str = "") -> Context:
    """The context to act in. Raises Missing where there is no such client or account, Forbidden away from the stack."""
    from app.services import auth, clients

    token = os.environ.get(TOKEN_VARIABLE)
    if token:
        return await clients.enter(await auth.resolve_token(token), client)
    local_settings()
    return await clients.enter(await _account(email), client) if email else await _system(client)


async def actor(email: str = "") -> Actor:
    """Whoever looks over all their clients. Raises Missing where nobody is named."""
    from app.services import auth

    token = os.environ.get(TOKEN_VARIABLE)
    if token:
        return await auth.resolve_token(token)
    local_settings()
    if not email:
        message = "Name a client, or with --as the account whose clients are looked through."
        raise Invalid(message, problems=[Problem("missing_param", message, field="client")])
    return await _account(email)


async def _account(email: str) -> Actor:
    from app.services.auth import local_actor

    return await local_actor(email)


async def _system(client: str) -> Context:
    from app.services import clients

    found = await clients.find_by_slug(client)
    if found is None:
        raise Missing("client")
    return clients.system_context("command line", found, client)
