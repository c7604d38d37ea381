"""Ties the page's state to the person whose session the websocket was opened with.

Reflex keeps the state of a browser tab under a token that the tab makes, and sends the whole of it to whoever connects
with that token. Here the state is kept under a digest of that token and of the account that the cookie's session
belongs to: whoever is someone else, or nobody, gets another, empty state. The account and not the cookie, because the
cookie is replaced every few minutes, and a page must outlive that.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode

import reflex as rx
from reflex.app import EventNamespace

from app.core.errors import NotSignedIn, OpsloomError
from app.services import auth
from app.ui.guard import session_token
from app.ui.links import links

NOBODY = "nobody"


def bound_token(tab: str, owner: str) -> str:
    """The name under which the state of ``tab`` is kept for ``owner``, an account's id or the digest of a cookie."""
    return hashlib.sha256(f"{tab}\n{owner}".encode()).hexdigest()


async def owner_of(cookie_header: str, ip: str | None) -> str:
    """Whom a connection's state is kept for. A session that does not hold is nobody's, each in a place of its own."""
    token = session_token(cookie_header)
    if token is None:
        return NOBODY
    try:
        return str((await auth.resolve_session(token, ip=ip)).account_id)
    except NotSignedIn:
        return f"{NOBODY}:{hashlib.sha256(token.encode()).hexdigest()}"


class SessionNamespace(EventNamespace):
    """The websocket's namespace, with states kept by tab and account."""

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        tab = query.get("token", [""])[0]
        if tab:
            try:
                owner = await owner_of(environ.get("HTTP_COOKIE", ""), environ.get("REMOTE_ADDR"))
            except OpsloomError as error:
                raise ConnectionRefusedError(error.code) from error
            bound = {**query, "token": [bound_token(tab, owner)]}
            environ = {**environ, "QUERY_STRING": urlencode(bound, doseq=True)}
        links.opened(sid)
        try:
            await super().on_connect(sid, environ, auth)
        except Exception:
            links.closed(sid)
            raise

    def on_disconnect(self, sid: str) -> asyncio.Task[None] | None:
        links.closed(sid)
        return super().on_disconnect(sid)


def protect(app: rx.App) -> None:
    """Put it in place of Reflex's own. Raises RuntimeError where the application has no websocket."""
    namespace = app.event_namespace
    if namespace is None or app.sio is None:
        raise RuntimeError("the application has no websocket to protect")
    app._event_namespace = SessionNamespace(namespace.namespace, app)
    app.sio.register_namespace(app._event_namespace)
    links.serve(app.sio, app._event_namespace.namespace)
