"""The websockets that are open, and how to have a browser open its own anew.

A browser sends its cookie only when the socket connects. When a session's token was replaced meanwhile, the socket goes
on with the old one for a while and is then refused; closing it makes the browser connect again, with the cookie of
today, and nothing that was typed is lost.
"""

from __future__ import annotations

import time

from socketio import AsyncServer

# A connection younger than this came with the browser's present cookie: closing it again would change nothing.
FRESH_S = 20.0


class Links:
    """The open connections of this process, by Socket.IO's session id."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._server: AsyncServer | None = None
        self._namespace = "/"

    def serve(self, server: AsyncServer, namespace: str) -> None:
        """Say whose connections these are."""
        self._server, self._namespace = server, namespace

    def opened(self, sid: str) -> None:
        self._since[sid] = time.monotonic()

    def is_open(self, sid: str) -> bool:
        """Whether that connection is still there. What follows something for it ends when it is not."""
        return sid in self._since

    def closed(self, sid: str) -> None:
        self._since.pop(sid, None)

    async def renew(self, sid: str) -> bool:
        """Have the browser connect again. False where it has only just connected, or is not known here."""
        since = self._since.get(sid)
        if since is None or self._server is None or time.monotonic() - since < FRESH_S:
            return False
        # The transport is closed under Socket.IO's feet: the client takes that for a lost connection and comes back.
        transport = self._server.manager.eio_sid_from_sid(sid, self._namespace)
        if transport is None:
            return False
        await self._server.eio.disconnect(transport)
        return True


links = Links()
