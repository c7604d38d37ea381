"""Who sent a request, and inside which client: by bearer token, or by the session's cookie of our own pages."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from app.api.problems import WrongOrigin
from app.core.context import Actor, Context
from app.core.errors import NotSignedIn
from app.core.logging import bind
from app.core.settings import get_settings
from app.services import auth, clients, limits

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
    header = request.headers.get("authorization")
    cookie = request.cookies.get(auth.SESSION_COOKIE)
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise NotSignedIn("Send a bearer token.", code="token_invalid")
        actor = await auth.resolve_token(token.strip(), address_of(request))
        subject = token
    elif cookie:
        if request.method not in _SAFE:
            require_own_page(request)
        actor = await auth.resolve_session(cookie, address_of(request), live=False)
        subject = str(actor.session_id)
    else:
        raise NotSignedIn()
    await limits.count("signed-in", subject, most=get_settings().api_rate_per_minute)
    return actor


async def unsigned_limit(request: Request) -> None:
    """For routes that need no sign-in: a limit by address."""
    await limits.count("address", address_of(request) or "", most=get_settings().unsigned_rate_per_minute)


SignedInActor = Annotated[Actor, Depends(current_actor)]


async def client_context(client: str, actor: SignedInActor) -> Context:
    """The actor inside the client of the address, an id or a short name. Raises Missing where they are no member."""
    context = await clients.enter(actor, client)
    bind(client_id=context.client_id)
    return context


InClient = Annotated[Context, Depends(client_context)]
