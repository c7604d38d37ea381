"""The simulator as an ASGI application: sign-in, Graph, control, with faults and a journal around them."""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
import uuid
from email.utils import formatdate
from pathlib import Path
from typing import Any

from connectors.httpd import HangUp
from connectors.m365.simulator import control, entra, graph, permissions, seed
from connectors.m365.simulator.directory import Directory
from connectors.m365.simulator.errors import GraphError, invalid_token
from connectors.m365.simulator.faults import GraphFault
from connectors.m365.simulator.journal import GraphRecord, noted
from connectors.m365.simulator.state import Tenant
from connectors.m365.simulator.wire import Answer, Json, Request
from connectors.simulation import Fault, Faults, Journal, Record

VERSION = "v1.0"
WRITE_METHODS = ("POST", "PATCH", "PUT", "DELETE")


class Simulator:
    """All tenants of one process. ``state`` is a file that keeps them over a restart."""

    def __init__(self, state: Path | None = None) -> None:
        self.tenants: dict[str, Tenant] = {}
        self.faults = Faults(GraphFault)
        self.journal = Journal(GraphRecord)
        self.page_limit: int | None = None
        self._released = asyncio.Event()
        self._state = state
        self._key = os.urandom(32)
        self._load()
        self.tokens = entra.Tokens(self._key)

    # Tenants

    def tenant(self, name: str | None) -> Tenant:
        """The tenant by id, slug or verified domain. Raises LookupError."""
        wanted = (name or "").lower()
        for tenant in self.tenants.values():
            if wanted in (tenant.id, tenant.slug) or tenant.is_verified(wanted):
                return tenant
        raise LookupError(f"tenant {name!r}")

    def seed(self, fixture: Json, app: Json | None = None, *, replace: bool = False) -> Json:
        """Make the fixture's tenant unless it is there, and set its application. Gives the credentials it set."""
        tenant = seed.tenant_of(fixture)
        fresh = replace or tenant.id not in self.tenants
        tenant = self.tenants.setdefault(tenant.id, tenant) if not replace else tenant
        self.tenants[tenant.id] = tenant
        given: Json = {}
        if app or (fresh and not tenant.apps):
            client_id, secret = seed.new_credentials()
            given = {"client_id": client_id, "client_secret": secret, **(app or {})}
            seed.add_app(tenant, given["client_id"], given["client_secret"], given.get("roles"))
        self.save()
        domain = next(one["name"] for one in tenant.domains if one.get("isDefault"))
        names = {"tenant_id": tenant.id, "slug": tenant.slug, "display_name": tenant.display_name, "domain": domain}
        return {**names, **given, "created": fresh}

    def seed_demo(self, apps: Json | None = None, *, replace: bool = False) -> list[Json]:
        """The demonstration's tenants; those there already keep their data."""
        found = apps or {}
        return [self.seed(seed.demo_fixture(slug), found.get(slug), replace=replace) for slug in seed.DEMO]

    def dump(self, name: str | None, *, whole: bool = False) -> Json:
        """The state of one tenant, or of all by slug."""
        if name is not None:
            return self.tenant(name).dump(whole=whole)
        return {t.slug: t.dump(whole=whole) for t in sorted(self.tenants.values(), key=lambda t: t.slug)}

    def reset(self) -> None:
        """Forget tenants, faults, settings and the journal."""
        self.release()
        self.faults.remove()
        self.journal.clear()
        self.configure({"page_limit": None, "token_lifetime": entra.LIFETIME})
        self.tenants.clear()
        self.save()

    def release(self) -> None:
        """End every silence."""
        self._released.set()
        self._released = asyncio.Event()

    def configure(self, given: Json) -> Json:
        """Set ``page_limit`` (pages smaller than asked for) and ``token_lifetime`` in seconds."""
        unknown = set(given) - {"page_limit", "token_lifetime"}
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
        if "page_limit" in given:
            self.page_limit = int(given["page_limit"]) if given["page_limit"] else None
        if "token_lifetime" in given:
            self.tokens.lifetime = int(given["token_lifetime"])
        return {"page_limit": self.page_limit, "token_lifetime": self.tokens.lifetime}

    # Keeping the state

    def _load(self) -> None:
        if self._state is None or not self._state.exists():
            return
        data = json.loads(self._state.read_text(encoding="utf-8"))
        self._key = bytes.fromhex(data["key"])
        for one in data["tenants"]:
            tenant = Tenant.from_json(one)
            self.tenants[tenant.id] = tenant

    def save(self) -> None:
        """Write the state file whole, so that a crash leaves the old one or the new one."""
        if self._state is None:
            return
        data = {"key": self._key.hex(), "tenants": [tenant.as_json() for tenant in self.tenants.values()]}
        beside = self._state.with_suffix(".new")
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        beside.replace(self._state)

    # HTTP

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = await _request(scope, receive)
        answer = await self._answer(request)
        headers = {"content-type": "application/json", "date": formatdate(usegmt=True), **answer.headers}
        body = answer.encoded()
        headers["content-length"] = str(len(body))
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, request: Request) -> Answer:
        segments = request.segments
        if segments[:1] == ("_sim",):
            return control.answer(self, request)
        if segments[:1] == (VERSION,):
            return await self._with_faults(request, self._graph)
        if len(segments) == 4 and segments[1:] == ("oauth2", "v2.0", "token") and request.method == "POST":
            return await self._with_faults(request, self._sign_in)
        if len(segments) == 4 and segments[1:] == ("v2.0", ".well-known", "openid-configuration"):
            return entra.metadata(request.base, segments[0])
        refusal = GraphError(404, "NotFound", f"There is nothing at {request.method} {request.path}.")
        record = self.journal.open(**noted(request, f"{request.method} {request.path}", write=False))
        return self._refused(refusal, request, record)

    def _sign_in(self, request: Request, record: Record, _visible_at: float) -> Answer:
        name = request.segments[0]
        try:
            tenant = self.tenant(name)
            record.tenant = tenant.id
        except LookupError:
            tenant = None
        return entra.token_answer(request, tenant, name, self.tokens, time.time())

    async def _with_faults(self, request: Request, work: Any) -> Answer:
        """Do ``work`` as the faults that this request meets let it."""
        is_graph = request.segments[0] == VERSION
        write = is_graph and request.method in WRITE_METHODS
        operation = graph.operation(request.method, request.segments[1:]) if is_graph else "POST token"
        record = self.journal.open(**noted(request, operation, write=write))
        met = self.faults.take(
            method=request.method, operation=operation, path=request.path, tenant=self._tenant_of(request), write=write
        )
        record.faults = [fault.kind for fault in met]
        for fault in met:
            if (refused := await self._before(fault, request)) is not None:
                if is_graph:
                    return self._refused(refused, request, record)
                record.status = refused.status
                return entra.passing(refused.status, refused.headers)
        lag = max((fault.seconds for fault in met if fault.kind == "delay"), default=0.0)
        try:
            answer: Answer = work(request, record, time.time() + lag if lag else 0.0)
        except GraphError as error:
            answer = self._refused(error, request, record)
        record.status = answer.status
        for fault in met:
            await self._after(fault, request)
        return answer

    async def _before(self, fault: Fault, request: Request) -> GraphError | None:
        """What happens before the work: a refusal, a wait, or no answer at all."""
        if fault.kind == "throttle":
            wait = {"Retry-After": str(math.ceil(fault.retry_after))}
            return GraphError(
                429, "TooManyRequests", "Too many requests. Please wait before you try again.", headers=wait
            )
        if fault.kind == "error":
            return GraphError(fault.status, fault.code, "The service is temporarily unavailable.")
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault.when == "before":
            await self._lose(fault, request)
        return None

    async def _after(self, fault: Fault, request: Request) -> None:
        """What happens once the work is done."""
        if fault.when == "after":
            await self._lose(fault, request)

    async def _lose(self, fault: Fault, request: Request) -> None:
        """Close the connection without an answer; for a timeout, after a silence."""
        if fault.kind == "timeout":
            await self._silence(request, fault.seconds)
        if fault.kind in ("drop", "timeout"):
            raise HangUp

    async def _silence(self, request: Request, seconds: float) -> None:
        """Wait for ``seconds``, for the release, or for the caller to give up."""
        assert request.gone is not None
        waits = {asyncio.ensure_future(self._released.wait()), asyncio.ensure_future(request.gone())}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _graph(self, request: Request, record: Record, visible_at: float) -> Answer:
        """One request to Graph: who asks, whether they may, and what comes of it."""
        now = time.time()
        caller = self.tokens.read(request.headers, now)
        tenant = self.tenants.get(caller.tenant_id)
        if tenant is None or caller.client_id not in tenant.apps:
            raise invalid_token("The identity of the calling application could not be established.")
        record.tenant = tenant.id
        route, keys = graph.find(request.method, request.segments[1:])
        permissions.require(caller.roles, route.allowed)
        body = graph.body_of(request, route)
        before = tenant.revision
        call = graph.Call(request, tenant, Directory(tenant, visible_at), now, keys, body, self.page_limit)
        answer = route.handler(call)
        graph.check_answer(route, answer)
        if tenant.revision != before:
            record.changed = True
            self.save()
        answer.headers["request-id"] = str(uuid.uuid4())
        return answer

    def _tenant_of(self, request: Request) -> str:
        """The tenant a request is about, as far as can be told before it is looked at; for matching faults."""
        if request.segments[0] != VERSION:
            try:
                return self.tenant(request.segments[0]).id
            except LookupError:
                return ""
        try:
            return self.tokens.read(request.headers, time.time()).tenant_id
        except GraphError:
            return ""

    def _refused(self, error: GraphError, request: Request, record: Record) -> Answer:
        request_id = str(uuid.uuid4())
        body = error.as_json(request_id, request.headers.get("client-request-id", request_id))
        record.status, record.error = error.status, {"code": error.code, "message": error.message}
        return Answer(error.status, body, {"request-id": request_id, **error.headers})


async def _request(scope: Any, receive: Any) -> Request:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get("host") or ":".join(str(part) for part in scope["server"])
    return Request(
        method=scope["method"],
        path=scope.get("raw_path", scope["path"].encode()).decode("ascii", "replace"),
        query_string=scope["query_string"].decode("ascii", "replace"),
        headers=headers,
        body=b"".join(parts),
        base=f"{scope['scheme']}://{host}",
        gone=receive,
    )
