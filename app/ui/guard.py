"""The door of every event handler.

Whatever the browser may call over the websocket is a public endpoint. The decorators here are the only ways to write
one: they resolve the session's cookie against the database, enter the client that the address names, check the
permission, and hand the result to the handler. They run in the background, so that the page's state is locked only
while it is written (``async with self``), never while a database or a platform is asked.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import reflex as rx
import structlog

from app.core.context import Actor, Context
from app.core.errors import Forbidden, Missing, NotSignedIn, OpsloomError
from app.services import auth, clients
from app.ui.links import links
from app.ui.notices import clear_for, close_page, tell_problem

if TYPE_CHECKING:
    from app.ui.session import SessionState

GUARD = "__opsloom_guard__"
SIGNED_IN = "signed_in"
F = TypeVar("F", bound=Callable[..., Any])
Resolve = Callable[[Any], Awaitable[Actor | Context]]

log = structlog.get_logger(__name__)


def session_token(cookie_header: str) -> str | None:
    """The session's token out of a Cookie header, or None."""
    try:
        found = SimpleCookie(cookie_header).get(auth.SESSION_COOKIE)
    except CookieError:
        return None
    return found.value if found and found.value else None


async def current_actor(state: rx.State, *, touch: bool = True) -> Actor:
    """Who is signed in on the connection that ``state`` belongs to. Raises NotSignedIn.

    ``touch`` False is for what happens by itself: it does not count as use of the session.
    """
    token = session_token(state.router.headers.cookie)
    if token is None:
        raise NotSignedIn()
    return await auth.resolve_session(token, ip=state.router.session.client_ip, touch=touch)


def route_param(state: rx.State, name: str) -> str:
    """A part of the address, such as ``run`` of ``/c/[client]/runs/[run]``; empty where it has none."""
    return str(state.rx_router_page.params.get(name) or "")


def address_of(state: rx.State) -> str:
    """The address of the page that the tab shows, as far as ``state`` knows, without its query."""
    return str(state.rx_router_page.raw_path).partition("?")[0].rstrip("/") or "/"


async def current_context(state: rx.State, permission: str, *, touch: bool = True) -> Context:
    """The actor inside the client that the address names. Raises NotSignedIn, Missing or Forbidden."""
    actor = await current_actor(state, touch=touch)
    slug = route_param(state, "client")
    if not slug:
        raise Missing("client")
    context = await clients.enter(actor, slug)
    context.require(permission)
    return context


def guarded(permission: str, *, supersedes: bool = False) -> Callable[[F], F]:
    """An event handler ``handler(self, context, …)`` for whoever has ``permission`` in the client of the address."""
    return _door(permission, functools.partial(current_context, permission=permission), _tell, supersedes)


def signed_in(*, supersedes: bool = False) -> Callable[[F], F]:
    """An event handler ``handler(self, actor, …)`` for whoever is signed in."""
    return _door(SIGNED_IN, current_actor, _tell, supersedes)


def opens(permission: str | None) -> Callable[[F], F]:
    """The handler that fills a page when it opens; ``permission`` None asks only for somebody signed in.

    What the page's state held for another address is cleared first. Where the page may not be shown, it says so.
    """
    resolve = current_actor if permission is None else functools.partial(current_context, permission=permission)
    return _door(permission or SIGNED_IN, _then_clear(resolve), _close, supersedes=True)


def _door(name: str, resolve: Resolve, refuse: Callable[..., Awaitable[None]], supersedes: bool) -> Callable[[F], F]:
    def decorate(handler: F) -> F:
        wrap = _generator if inspect.isasyncgenfunction(handler) else _coroutine
        wrapped = functools.wraps(handler)(wrap(handler, resolve, refuse))
        _hide_second_parameter(wrapped, handler)
        setattr(wrapped, GUARD, name)
        return rx.event(wrapped, background=True, supersedes=supersedes)

    return decorate


def _hide_second_parameter(wrapped: Any, handler: Callable[..., Any]) -> None:
    """The browser calls the handler without the context; Reflex reads the parameters off the signature."""
    signature = inspect.signature(handler)
    first, second, *rest = signature.parameters.values()
    wrapped.__signature__ = signature.replace(parameters=[first, *rest])
    wrapped.__annotations__ = {key: hint for key, hint in handler.__annotations__.items() if key != second.name}


def _coroutine(handler: Callable[..., Any], resolve: Resolve, refuse: Callable[..., Awaitable[None]]) -> Any:
    async def run(self: SessionState, *args: Any, **kwargs: Any) -> Any:
        try:
            return await handler(self, await resolve(self), *args, **kwargs)
        except Exception as error:
            await refuse(self, error)
            return None

    return run


def _generator(handler: Callable[..., Any], resolve: Resolve, refuse: Callable[..., Awaitable[None]]) -> Any:
    async def run(self: SessionState, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        try:
            who = await resolve(self)
            async for event in handler(self, who, *args, **kwargs):
                yield event
        except Exception as error:
            await refuse(self, error)

    return run


def _then_clear(resolve: Resolve) -> Resolve:
    async def clear(state: SessionState) -> Actor | Context:
        who = await resolve(state)
        await clear_for(state, address_of(state))
        return who

    return clear


def as_problem(error: Exception) -> dict[str, Any]:
    """An error as the browser says it. What nobody foresaw is logged, and shown as a reference to that line."""
    if isinstance(error, OpsloomError):
        return error.as_problem()
    reference = uuid4().hex[:8]
    log.error("event_failed", reference=reference, exc_info=error)
    return {"code": "unexpected", "params": {"reference": reference}}


async def _not_signed_in(state: SessionState) -> None:
    """Have the browser come again with the cookie it has now; where it has just done so, lead to the sign-in page."""
    if not await links.renew(state.router.session.session_id):
        await close_page(state, "sign_in")


async def _tell(state: SessionState, error: Exception) -> None:
    if isinstance(error, NotSignedIn):
        await _not_signed_in(state)
    else:
        await tell_problem(state, as_problem(error))


async def _close(state: SessionState, error: Exception) -> None:
    reasons = {Forbidden: "forbidden", Missing: "not_found"}
    if isinstance(error, NotSignedIn):
        await _not_signed_in(state)
    elif reason := reasons.get(type(error)):
        await close_page(state, reason)
    else:
        await tell_problem(state, as_problem(error))
