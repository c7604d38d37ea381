"""A small API of tickets, as many a vendor has one: signed in by token, password or key, with idempotency keys."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

from connectors.webhost import Host
from connectors.webwire import Reply, Request

Json = dict[str, Any]
WRITES = ("POST", "PUT", "PATCH", "DELETE")
FIELDS = {"title", "state"}

# The demonstration's tenant. Whoever reaches the simulator is on this machine already.
DEMO: Json = {
    "slug": "sandbox",
    "host": "api.sandbox.example",
    "sign_in": "bearer",
    "secret": "sandbox-token",
    "tickets": {"1": {"id": 1, "title": "Printer on the third floor", "state": "open"}},
    "keys": {},
    "config": {"hosts": ["api.sandbox.example"], "sign_in": "bearer", "secret": "sandbox-token"},
}


class Simulator(Host):
    """Tenants are told apart by the host that is asked."""

    demo = (DEMO,)

    def tenant_of(self, request: Request) -> str:
        return next((slug for slug, one in self.tenants.items() if one["host"] == request.host), "")

    def writes(self, request: Request) -> bool:
        return request.method in WRITES

    def work(self, request: Request, tenant: str) -> Reply:
        if not tenant:
            return Reply(421, {"error": "no such host here"})
        if request.path == "/elsewhere":
            return Reply(302, None, {"location": request.query.get("to", "/")})
        if request.path == "/headers":
            return Reply(200, dict(request.headers))
        found = self.tenants[tenant]
        if not _signed_in(found, request):
            return Reply(401, {"error": "sign in first"}, {"www-authenticate": "Bearer"})
        return self._known(found, request)

    def _known(self, tenant: Json, request: Request) -> Reply:
        """The same answer to the same key, so that a request sent twice acts once."""
        key = request.headers.get("idempotency-key")
        if request.method in WRITES and key in tenant["keys"]:
            before = tenant["keys"][key]
            return Reply(before["status"], before["body"])
        reply = _routed(tenant, request)
        if request.method in WRITES and key and reply.status < 300:
            tenant["keys"][key] = {"status": reply.status, "body": reply.body}
        return reply


def _signed_in(tenant: Json, request: Request) -> bool:
    secret = tenant["secret"]
    pair = base64.b64encode(f"{tenant.get('username', '')}:{secret}".encode()).decode()
    wanted = {
        "none": ("", ""),
        "bearer": ("authorization", f"Bearer {secret}"),
        "basic": ("authorization", f"Basic {pair}"),
        "header": ("x-api-key", secret),
    }
    name, value = wanted[tenant["sign_in"]]
    return hmac.compare_digest(request.headers.get(name, "").encode("latin-1"), value.encode())


def _routed(tenant: Json, request: Request) -> Reply:
    match request.path.strip("/").split("/"):
        case [""]:
            return Reply(200, {"name": tenant["slug"]})
        case ["tickets"] if request.method in ("GET", "HEAD"):
            return Reply(
                200, {"items": list(tenant["tickets"].values())}, {"x-total-count": str(len(tenant["tickets"]))}
            )
        case ["tickets"] if request.method == "POST":
            return _create(tenant, request)
        case ["tickets", number] if number in tenant["tickets"]:
            return _one(tenant, request, number)
        case ["text"]:
            return Reply(200, "d’accord".encode(), {"content-type": "text/plain; charset=utf-8"})
        case ["large"]:
            return Reply(
                200, b"x" * min(int(request.query.get("bytes", "0")), 8_000_000), {"content-type": "text/plain"}
            )
    return Reply(404, {"error": "nothing here"})


def _create(tenant: Json, request: Request) -> Reply:
    given = _given(request)
    if given is None or "title" not in given:
        return Reply(422, {"error": "a ticket has a title"})
    number = max(map(int, tenant["tickets"]), default=0) + 1
    made = {"id": number, "state": "open", **given}
    tenant["tickets"][str(number)] = made
    return Reply(201, made, {"location": f"/tickets/{number}"})


def _one(tenant: Json, request: Request, number: str) -> Reply:
    tickets = tenant["tickets"]
    if request.method in ("GET", "HEAD"):
        return Reply(200, tickets[number])
    if request.method == "DELETE":
        del tickets[number]
        return Reply(204)
    given = _given(request)
    if given is None or request.method == "POST":
        return Reply(405 if request.method == "POST" else 422, {"error": "not like this"})
    tickets[number] = {**tickets[number], **given}
    return Reply(200, tickets[number])


def _given(request: Request) -> Json | None:
    """The fields in the body, or None where it is not an object of fields that a ticket has."""
    try:
        given = request.json()
    except (ValueError, json.JSONDecodeError):
        return None
    return given if set(given) <= FIELDS else None
