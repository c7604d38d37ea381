"""The link to one client's mail server: what the actions call."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from time import perf_counter
from urllib.parse import urlsplit
from uuid import UUID

import aiosmtplib

from connectors.base import Attempt, Environment
from connectors.errors import AuthFailed, ConnectorError, Retryable
from connectors.hiding import Veil
from connectors.mail import errors
from connectors.mail.config import MailConfig
from connectors.net import Guard, Resolver, system_resolver

CONNECT_S = 15.0
COMMAND_S = 60.0
# An attempt with less time left is not begun; an answer must be written down before the deadline.
LEAST_S, MARGIN_S = 5.0, 1.0
NETWORK = (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, OSError)


class MailClient:
    """Hands messages to the server of one connection. Each has a session of its own, signed in when it begins."""

    def __init__(
        self, client_id: UUID, config: MailConfig, environment: Environment, *, resolver: Resolver = system_resolver
    ) -> None:
        self.client_id = client_id
        self.config = config
        self._guard = Guard(environment.networks, resolver)
        overrides = dict(environment.endpoints)
        self._ca_file = overrides.pop("ca_file", None)  # a host could be called so
        self._override = overrides.get(config.host)
        self._veil = _veil(config)
        self._now = environment.now or (lambda: datetime.now(UTC))
        self._observe = environment.observe

    def now(self) -> datetime:
        """The deployment's clock."""
        return self._now()

    async def check(self, recipients: Sequence[str]) -> None:
        """Sign in and ask whether the server takes mail from our sender to ``recipients``; nothing is sent.

        Raises AuthFailed, Rejected (``recipient_refused``), Throttled or Retryable.
        """
        async with self._session("check") as server:
            await self._envelope(server, recipients)

    async def send(self, raw: bytes, message_id: str, recipients: Sequence[str], attempt: Attempt) -> None:
        """Hand over one message to all ``recipients`` or to none, once, never after the attempt's deadline.

        Raises OutcomeUnknown where it was handed over and no answer came.
        """
        left = (attempt.deadline - self.now()).total_seconds() - MARGIN_S
        if left < LEAST_S:
            raise Retryable("Too little time was left for this attempt; nothing was sent.", code="deadline")
        handed_over = False
        try:
            async with asyncio.timeout(left), self._session("send") as server:
                await self._envelope(server, recipients)
                handed_over = True
                await self._data(server, raw, message_id, left)
        except TimeoutError as error:
            if handed_over:
                raise errors.lost("The message", error, message_id) from None
            raise Retryable("The mail server was too slow; nothing was sent.", code="deadline") from None

    async def _data(self, server: aiosmtplib.SMTP, raw: bytes, message_id: str, left_s: float) -> None:
        try:
            # A server may take its time over a message: only the attempt bounds it.
            await server.data(raw, timeout=left_s)
        except aiosmtplib.SMTPResponseException as error:
            raise errors.answered(error, "The message was not taken", errors.CONTENT, self._veil) from None
        except NETWORK as error:
            raise errors.lost("The message", error, message_id) from None

    async def _envelope(self, server: aiosmtplib.SMTP, recipients: Sequence[str]) -> None:
        """Sender and recipients. What the server refuses here leaves nothing behind."""
        try:
            await server.mail(self.config.sender)
            for recipient in recipients:
                await server.rcpt(recipient)
        except aiosmtplib.SMTPSenderRefused as error:
            raise errors.answered(error, f"Mail from {self.config.sender}", errors.SENDER, self._veil) from None
        except aiosmtplib.SMTPRecipientRefused as error:
            raise errors.answered(error, f"Mail to {error.recipient}", errors.RECIPIENT, self._veil) from None
        except NETWORK as error:
            raise errors.reached(error, self.config.host, self._veil) from None

    @contextlib.asynccontextmanager
    async def _session(self, operation: str) -> AsyncIterator[aiosmtplib.SMTP]:
        """A session, signed in; it ends with the block, in whatever state it is."""
        started, outcome = perf_counter(), "cancelled"
        server: aiosmtplib.SMTP | None = None
        try:
            server = await self._open()
            yield server
            outcome = "ok"
        except ConnectorError as error:
            outcome = error.code
            raise
        finally:
            if server is not None:
                await _leave(server)
            if self._observe:
                self._observe("mail", operation, perf_counter() - started, outcome)

    async def _open(self) -> aiosmtplib.SMTP:
        host, port, security = self.config.host, self.config.port, self.config.security
        addresses = None
        if self._override:  # the deployment's own word for this host, which its settings vouch for
            instead = urlsplit(self._override)
            addresses, port = [instead.hostname or ""], instead.port or port
            security = {"smtp": "none", "smtps": "tls"}.get(instead.scheme, security)
        sock = await self._connected(addresses or await self._guard.addresses(host, port), port)
        server = aiosmtplib.SMTP(
            hostname=host,
            sock=sock,
            timeout=COMMAND_S,
            use_tls=security == "tls",
            start_tls=security == "starttls",
            tls_context=_authorities(self._ca_file) if security != "none" else None,
            local_hostname=self.config.sender.partition("@")[2],
        )
        try:
            await server.connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            raise errors.reached(error, host, self._veil) from None
        try:
            await self._sign_in(server)
        except BaseException:
            server.close()
            raise
        return server

    async def _connected(self, addresses: Sequence[str], port: int) -> socket.socket:
        """A socket connected to exactly one of ``addresses``. Raises Retryable."""
        loop = asyncio.get_running_loop()
        failed: Exception | None = None
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setblocking(False)
            try:
                async with asyncio.timeout(CONNECT_S):
                    await loop.sock_connect(sock, (address, port))
                return sock
            except OSError as error:  # TimeoutError is one
                sock.close()
                failed = error
            except BaseException:
                sock.close()
                raise
        raise errors.reached(failed or OSError("no address"), self.config.host, self._veil)

    async def _sign_in(self, server: aiosmtplib.SMTP) -> None:
        if not self.config.username:
            return
        try:
            await server.login(self.config.username, self.config.password.get_secret_value())
        except aiosmtplib.SMTPResponseException as error:
            found = errors.answered(error, "The sign-in", None, self._veil)
            raise found if isinstance(found, Retryable) else AuthFailed(found.message, details=found.details) from None
        except NETWORK as error:
            raise errors.reached(error, self.config.host, self._veil) from None
        except aiosmtplib.SMTPException as error:
            raise AuthFailed(f"The mail server offers no way to sign in: {self._veil.text(str(error))}") from None

    async def aclose(self) -> None:
        """Nothing is kept open."""


def _veil(config: MailConfig) -> Veil:
    """Over the password, also as AUTH PLAIN sends it."""
    password = config.password.get_secret_value()
    plain = f"\0{config.username}\0{password}".encode("utf-8", "replace")
    return Veil(password, base64.b64encode(plain).decode("ascii"))


async def _leave(server: aiosmtplib.SMTP) -> None:
    """Part in good order where the session still stands. Its end changes nothing."""
    if server.is_connected:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await server.quit(timeout=2)
    server.close()


@lru_cache(maxsize=4)
def _authorities(ca_file: str | None) -> ssl.SSLContext:
    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context
