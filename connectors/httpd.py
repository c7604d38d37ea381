"""A small ASGI server on h11 that can hang up without a word, and that speaks HTTP and HTTPS on one port.

The usual servers answer 500 when an application raises; a simulator must be able to do the work and then close the
connection, as a broken network does. An application raises :class:`HangUp` for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import h11

log = logging.getLogger(__name__)

App = Callable[[Any, Any, Any], Awaitable[None]]
MAX_BODY = 4 * 1024 * 1024
CHUNK = 64 * 1024
TLS_HANDSHAKE = b"\x16"
FIRST_BYTE_S = 30.0


class HangUp(Exception):
    """Raised by an application to close the connection with nothing sent."""


class Server:
    """Serves ``app`` on ``host:port`` (0 picks a free port) inside the running event loop.

    With ``tls``, a connection that begins with a TLS handshake gets TLS, any other plain HTTP: the sign-in library
    insists on HTTPS, a test's control calls do not.
    """

    def __init__(self, app: App, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._app, self._host, self._port, self._tls = app, host, port, tls
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Begin to listen and give the port. Raises OSError when it is taken."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._socket = socket.create_server((self._host, self._port), family=family, backlog=128)
        self._socket.setblocking(False)
        self._spawn(self._accept(self._socket))
        return int(self._socket.getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and drop open connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(listening)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._spawn(self._connection(sock))

    async def _connection(self, sock: socket.socket) -> None:
        transport: asyncio.Transport | None = None
        try:
            secure = self._tls is not None and await _first_byte(sock) == TLS_HANDSHAKE
            loop = asyncio.get_running_loop()
            reader = asyncio.StreamReader(limit=MAX_BODY, loop=loop)
            protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=self._tls if secure else None)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            await _Connection(self._app, reader, writer, secure=secure).serve()
        except (ConnectionError, h11.RemoteProtocolError, TimeoutError, ssl.SSLError):
            log.debug("connection ended early")
        finally:
            # A client that keeps its connection open would make an orderly TLS farewell wait for it.
            transport.abort() if transport is not None else sock.close()


async def _first_byte(sock: socket.socket) -> bytes:
    """The first byte that the client sends, left where it is."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(sock, lambda: ready.done() or ready.set_result(None))
    try:
        await asyncio.wait_for(ready, FIRST_BYTE_S)
    finally:
        loop.remove_reader(sock)
    return sock.recv(1, socket.MSG_PEEK)


class _Connection:
    """One client's connection: requests one after the other until either side closes."""

    def __init__(self, app: App, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, secure: bool) -> None:
        self._app, self._reader, self._writer, self._secure = app, reader, writer, secure
        self._h11 = h11.Connection(h11.SERVER)

    async def serve(self) -> None:
        while True:
            request = await self._next()
            if not isinstance(request, h11.Request):
                return
            body = await self._body()
            try:
                await self._run(request, body)
            except HangUp:
                return
            if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
                await self._flush()
                return
            self._h11.start_next_cycle()

    async def _next(self) -> Any:
        """The next protocol event, or None when the client has gone."""
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            if self._h11.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._h11.receive_data(await self._reader.read(CHUNK))
        return None if isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED else event

    async def _body(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while isinstance(event := await self._next(), h11.Data):
            size += len(event.data)
            if size > MAX_BODY:
                raise ConnectionError("body too large")
            parts.append(bytes(event.data))
        return b"".join(parts)

    async def _run(self, request: h11.Request, body: bytes) -> None:
        unread = [body]

        async def receive() -> dict[str, Any]:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            await self._until_gone()
            return {"type": "http.disconnect"}

        try:
            await self._app(self._scope(request), receive, self._asgi_send)
        except (HangUp, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("the application failed")
            if self._h11.our_state is h11.SEND_RESPONSE:
                await self._send(h11.Response(status_code=500, headers=[("content-length", "0")]))
                await self._send(h11.EndOfMessage())

    def _scope(self, request: h11.Request) -> dict[str, Any]:
        raw_path, _, query = bytes(request.target).partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": bytes(request.http_version).decode(),
            "method": bytes(request.method).decode(),
            "scheme": "https" if self._secure else "http",
            "path": raw_path.decode("ascii", "replace"),
            "raw_path": raw_path,
            "query_string": query,
            "headers": [(bytes(name), bytes(value)) for name, value in request.headers],
            "server": self._writer.get_extra_info("sockname")[:2],
        }

    async def _until_gone(self) -> None:
        """Wait for the client to close; what it sends before its answer is kept for its next request."""
        while data := await self._reader.read(CHUNK):
            self._h11.receive_data(data)

    async def _asgi_send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            await self._send(h11.Response(status_code=message["status"], headers=message["headers"]))
            return
        if message.get("body"):
            await self._send(h11.Data(data=message["body"]))
        if not message.get("more_body"):
            await self._send(h11.EndOfMessage())

    async def _send(self, event: Any) -> None:
        data = self._h11.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()

    async def _flush(self) -> None:
        """Let the last answer leave before the connection is dropped."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._writer.close()
            await asyncio.wait_for(self._writer.wait_closed(), 1)
