"""A mail server that keeps what it is sent: sign-in, senders and recipients it knows, and trouble on request."""

from __future__ import annotations

import asyncio
import email
import email.policy
import hmac
import ssl
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from connectors.simulation import Fault, Record
from connectors.webhost import Host
from connectors.webwire import LOOK_EVERY_S, Reply, Request

Json = dict[str, Any]
LATER = "451 4.7.1 Try again later"
KEPT = ("from", "to", "cc", "bcc", "reply-to", "subject", "message-id", "auto-submitted")
NO = "554 5.0.0 The simulator was told to fail"

# The demonstration's tenant. Whoever reaches the simulator is on this machine already.
DEMO: Json = {
    "slug": "sandbox",
    "username": "it@sandbox.example",
    "password": "sandbox-password",
    "senders": ["it@sandbox.example"],
    "domains": ["sandbox.example", "contoso.com", "fabrikam.com", "example.com"],
    "messages": [],
    "config": {
        "host": "mail.sandbox.example",
        "username": "it@sandbox.example",
        "password": "sandbox-password",
        "sender": "it@sandbox.example",
    },
}


class Simulator(Host):
    """The mailboxes, with the control routes of every simulator. Mail itself comes in through :class:`Post`."""

    demo = (DEMO,)

    def __init__(self, state: Path | None = None) -> None:
        super().__init__(state)
        self.handler = Handler(self)

    def tenant_of(self, request: Request) -> str:
        return ""

    def writes(self, request: Request) -> bool:
        return False

    def work(self, request: Request, tenant: str) -> Reply:
        return Reply(404, {"error": "mail comes in through the other port"})

    def tenant_of_user(self, username: str) -> str:
        """The slug of the tenant that signs in so, or an empty text."""
        return next((slug for slug, one in self.tenants.items() if username in _users(one)), "")

    def authenticate(self, _server: Any, session: Session, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        """A sign-in. Both halves come as bytes."""
        assert isinstance(data, LoginPassword)
        username = data.login.decode("utf-8", "replace")
        slug = self.tenant_of_user(username)
        record = self.note("AUTH", "/sign-in", slug, {"username": username}, write=False)
        met = self.met(record)
        refused = next((_refusal(fault) for fault in met if fault.kind in ("throttle", "error")), None)
        wanted = _users(self.tenants[slug])[username] if slug else ""
        success = refused is None and bool(slug) and hmac.compare_digest(wanted.encode(), data.password)
        record.status = 235 if success else 535
        if not success:
            return AuthResult(success=False, handled=False, message=refused or "535 5.7.8 Credentials are wrong")
        session.auth_data = {"slug": slug, "username": username}
        return AuthResult(success=True, auth_data=session.auth_data)

    def note(self, method: str, path: str, tenant: str, body: Any, *, write: bool) -> Record:
        return self.journal.open(tenant=tenant, method=method, path=path, body=body, write=write)

    def met(self, record: Record) -> list[Fault]:
        """The faults that this exchange meets, noted on it."""
        found = self.faults.take(method=record.method, path=record.path, tenant=record.tenant, write=record.write)
        record.faults = [fault.kind for fault in found]
        return found


def _users(tenant: Json) -> Json:
    """Passwords by user: the one that may send, and those that only sign in."""
    return {tenant["username"]: tenant["password"], **tenant.get("others", {})}


def _refusal(fault: Fault) -> str:
    return LATER if fault.kind == "throttle" or fault.status >= 500 else NO


class Handler:
    """What happens at each step of a delivery."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def handle_MAIL(
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        who = session.auth_data
        if not who:
            return "530 5.7.0 Sign in first"
        tenant = self._simulator.tenants.get(who["slug"], {})
        if who["username"] != tenant.get("username") or address not in tenant["senders"]:
            return f"553 5.7.1 {address} is not yours to send from"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        tenant = self._simulator.tenants.get(session.auth_data["slug"], {})
        if address.rpartition("@")[2].lower() not in tenant["domains"]:
            return f"550 5.1.1 Nobody is called {address} here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        simulator, slug = self._simulator, session.auth_data["slug"]
        shown = {"from": envelope.mail_from, "to": envelope.rcpt_tos}
        record = simulator.note("DATA", "/messages", slug, shown, write=True)
        met = simulator.met(record)
        for fault in met:
            if fault.kind in ("throttle", "error"):
                record.status = 451 if _refusal(fault) == LATER else 554
                return _refusal(fault)
            if fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
            if fault.when == "before":
                await self._lose(fault, server)
        simulator.tenants[slug]["messages"].append(_stored(envelope))
        record.status, record.changed = 250, True
        simulator.save()
        for fault in met:
            if fault.when == "after":
                await self._lose(fault, server)
        return "250 2.0.0 Taken"

    async def _lose(self, fault: Fault, server: SMTP) -> None:
        """Break the connection; for a timeout, after a silence that ends when the fault is removed.

        aiosmtpd cancels this when the caller has gone.
        """
        if fault.kind not in ("drop", "timeout"):
            return
        until = asyncio.get_running_loop().time() + (fault.seconds if fault.kind == "timeout" else 0)
        while asyncio.get_running_loop().time() < until:
            if await asyncio.to_thread(self._simulator.faults.wait_removed, fault, LOOK_EVERY_S):
                break
        if server.transport is not None:
            server.transport.abort()  # type: ignore[attr-defined]
        raise asyncio.CancelledError


def _stored(envelope: Envelope) -> Json:
    """A message as the dump shows it: the envelope, the headers that no clock or chance decides, its texts."""
    raw = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
    message = email.message_from_bytes(raw, policy=email.policy.default)
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    return {
        "sender": envelope.mail_from,
        "recipients": list(envelope.rcpt_tos),
        "headers": {name.lower(): str(value) for name, value in message.items() if name.lower() in KEPT},
        "text": plain.get_content().replace("\r\n", "\n") if plain else "",
        "html": html.get_content().replace("\r\n", "\n") if html else "",
    }


class Post:
    """The port at which mail comes in. With ``tls`` it offers STARTTLS."""

    def __init__(self, simulator: Simulator, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._simulator, self._host, self._port, self._tls = simulator, host, port, tls
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Begin to listen and give the port. Raises OSError when it is taken."""
        self._server = await asyncio.get_running_loop().create_server(self._session, self._host, self._port)
        return int(self._server.sockets[0].getsockname()[1])

    def _session(self) -> SMTP:
        return SMTP(
            self._simulator.handler,
            hostname="mail.sandbox.example",
            auth_require_tls=False,
            tls_context=self._tls,
            authenticator=self._simulator.authenticate,
            data_size_limit=8 * 1024 * 1024,
            loop=asyncio.get_running_loop(),
        )

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
