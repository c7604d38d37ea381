"""A receiver of webhooks: checks signatures and moments, keeps what it is told, can drop what it has seen."""

from __future__ import annotations

import json
import time
from typing import Any

from connectors.webhook.client import PING
from connectors.webhook.signature import ID, SIGNATURE, TIMESTAMP, verify
from connectors.webhost import Host
from connectors.webwire import Reply, Request

Json = dict[str, Any]
PATH = "/opsloom"
# Older messages are taken for ones that somebody sends again.
OLDEST_S = 300

# The demonstration's tenant. Whoever reaches the simulator is on this machine already.
DEMO: Json = {
    "slug": "sandbox",
    "host": "hooks.sandbox.example",
    "secret": "sandbox-secret-of-24-signs",
    "messages": [],
    "config": {"address": "https://hooks.sandbox.example/opsloom", "secret": "sandbox-secret-of-24-signs"},
}


class Simulator(Host):
    """Tenants are told apart by the host that is asked."""

    demo = (DEMO,)

    def tenant_of(self, request: Request) -> str:
        return next((slug for slug, one in self.tenants.items() if one["host"] == request.host), "")

    def writes(self, request: Request) -> bool:
        """A ping changes nothing."""
        return request.method == "POST" and _body(request).get("event") != PING

    def work(self, request: Request, tenant: str) -> Reply:
        if not tenant or request.path != PATH:
            return Reply(404, {"error": "nothing here"})
        found = self.tenants[tenant]
        timestamp = request.headers.get(TIMESTAMP.lower(), "")
        if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > OLDEST_S:
            return Reply(401, {"error": "this message is old"})
        if not verify(found["secret"], int(timestamp), request.body, request.headers.get(SIGNATURE.lower(), "")):
            return Reply(401, {"error": "the signature is wrong"})
        body = _body(request)
        if body.get("id") != request.headers.get(ID.lower()):
            return Reply(400, {"error": "the id is not the body's"})
        seen = {one["id"] for one in found["messages"]}
        if body["event"] != PING and not (found.get("deduplicates") and body["id"] in seen):
            found["messages"].append(body)
        return Reply(204)


def _body(request: Request) -> Json:
    try:
        return request.json()
    except (ValueError, json.JSONDecodeError):
        return {}
