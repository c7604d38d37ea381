"""Who sent a request, and inside which client: by bearer token, or by the session's cookie of our own pages."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Depends, Request

from app.api.problems import WrongOrigin
from app.core.context import Actor, Context
from app.core.errors import NotSignedIn
from app.core.logging import bind
from app.core.settings import get_settings
from app.services import auth, clients, limits

T = TypeVar("T")

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def address_of(request: Request) -> str | None:
    """The address that the request came from."""
    return request.client.host if request.client else None


def own_origins() -> frozenset[str]:
    """The origins of our own pages."""
    settings = get_settings()
    return frozenset({_origin(settings.base_url), *(_origin(each) for each in settings.cors_origins)})


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}".lower()


def require_own_page(request: Request) -> None:
    """Raise WrongOrigin unless one of our pages sent this.

    Browsers name the origin of every request that is not a plain GET, so a missing one is refused too: only a program
    leaves it out, and programs have tokens.
    """
    origin = request.headers.get("origin", "")
    if origin.lower() not in own_origins():
        raise WrongOrigin("This request did not come from a page of this application.")


async def current_actor(request: Request) -> Actor:
    """Who sent it. Raises NotSignedIn, WrongOrigin, TooMany."""
    token = _bearer_of(request)
    if token is None:
        return await _session_actor(request)
    return await _counted(token, auth.resolve_token(token, address_of(request)))


def _bearer_of(request: Request) -> str | None:
    """The bearer token; None where there is none. Raises NotSignedIn for an authorization of another kind."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise NotSignedIn("Send a bearer token.", code="token_invalid")
    return token.strip()


async def _session_actor(request: Request) -> Actor:
    cookie = request.cookies.get(auth.SESSION_COOKIE)
    if not cookie:
        raise NotSignedIn()
    if request.method not in _SAFE:
        require_own_page(request)
    actor = await auth.resolve_session(cookie, address_of(request), live=False)
    await _count(str(actor.session_id))
    return actor


async def present_actor(request: Request) -> Actor:
    """Who sent a request that is still being answered. Raises NotSignedIn.

    It cannot bring another cookie: one that a page load has replaced since is good for a while longer, as a websocket's
    is. That it is looked at keeps no session alive, and is no further request.
    """
    token = _bearer_of(request)
    if token is not None:
        return await auth.resolve_token(token, address_of(request))
    cookie = request.cookies.get(auth.SESSION_COOKIE)
    if not cookie:
        raise NotSignedIn()
    return await auth.resolve_session(cookie, address_of(request), touch=False)


async def _counted(token: str, resolving: Coroutine[Any, Any, T]) -> T:
    """What ``resolving`` gives. Redis counts the token while PostgreSQL is asked whose it is."""
    counting = asyncio.create_task(_count(token))
    try:
        return await resolving
    finally:
        await counting


async def _count(subject: str) -> None:
    await limits.count("signed-in", subject, most=get_settings().api_rate_per_minute)


async def unsigned_limit(request: Request) -> None:
    """For routes that need no sign-in: a limit by address."""
    await limits.count("address", address_of(request) or "", most=get_settings().unsigned_rate_per_minute)


SignedInActor = Annotated[Actor, Depends(current_actor)]


async def client_context(request: Request, client: str) -> Context:
    """The actor inside the client of the address, an id or a short name. Raises Missing where they are no member of it,
    and as :func:`current_actor`."""
    token = _bearer_of(request)
    if token is None:
        context = await clients.enter(await _session_actor(request), client)
    else:
        actor, membership = await _counted(token, auth.resolve_token_in(token, client, address_of(request)))
        context = clients.entered(actor, membership)
    bind(client_id=context.client_id)
    return context


InClient = Annotated[Context, Depends(client_context)]
