"""What simulators of web APIs share: control routes, faults and a log around a handful of routes of their own.

A simulator says what its routes do (:meth:`Host.work`) and which state it holds; the rest is here. It runs as a process
(:func:`main`) or in a thread of a test (:func:`running`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from connectors.httpd import Server
from connectors.simulation import Faults, Journal, Record
from connectors.webwire import Reply, Request, after, before, request_of

Json = dict[str, Any]


class Host(ABC):
    """A simulator. ``tenants`` is all that a write can change, by slug; ``state`` a file that keeps it."""

    demo: tuple[Json, ...] = ()

    def __init__(self, state: Path | None = None) -> None:
        self.faults, self.journal = Faults(), Journal()
        self.tenants: dict[str, Json] = {}
        self._state = state
        if state is not None and state.exists():
            self.tenants = json.loads(state.read_text(encoding="utf-8"))

    @abstractmethod
    def tenant_of(self, request: Request) -> str:
        """The slug of the tenant that the request is for, or an empty text."""

    @abstractmethod
    def writes(self, request: Request) -> bool:
        """Whether the request would change something."""

    @abstractmethod
    def work(self, request: Request, tenant: str) -> Reply:
        """Do what the request asks."""

    def seed(self, fixture: Json) -> Json:
        """Make the tenant unless it is there. Gives what a connection to it holds."""
        self.tenants.setdefault(fixture["slug"], deepcopy(fixture))
        self.save()
        return {"slug": fixture["slug"], "config": fixture.get("config", {})}

    def seed_demo(self) -> list[Json]:
        """The demonstration's tenants."""
        return [self.seed(fixture) for fixture in self.demo]

    def dump(self, slug: str | None) -> Json:
        """The state of one tenant or of all. Raises LookupError."""
        if slug is None:
            return self.tenants
        if slug not in self.tenants:
            raise LookupError(f"tenant {slug}")
        return self.tenants[slug]

    def reset(self) -> None:
        """Forget tenants, faults and log."""
        self.faults.remove()
        self.journal.clear()
        self.tenants.clear()
        self.save()

    def save(self) -> None:
        """Write the state file whole, so that a crash leaves the old one or the new one."""
        if self._state is None:
            return
        beside = self._state.with_suffix(".new")
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(self.tenants, ensure_ascii=False), encoding="utf-8")
        beside.replace(self._state)

    # HTTP

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = await request_of(scope, receive)
        reply = self._control(request) if request.path.startswith("/_sim/") else await self._answer(request)
        body = reply.encoded()
        headers = {"content-type": "application/json", **reply.headers, "content-length": str(len(body))}
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})

    async def _answer(self, request: Request) -> Reply:
        tenant, write = self.tenant_of(request), self.writes(request)
        shown = request.body.decode("utf-8", "replace")
        record = self.journal.open(tenant=tenant, method=request.method, path=request.path, body=shown, write=write)
        met = self.faults.take(method=request.method, path=request.path, tenant=tenant, write=write)
        record.faults = [fault.kind for fault in met]
        for fault in met:
            early = await before(self.faults, fault, request.gone)
            if early is not None:
                record.status = early.status
                return early
        reply = self._noted(record, request, tenant)
        for fault in met:
            await after(self.faults, fault, request.gone)
        return reply

    def _noted(self, record: Record, request: Request, tenant: str) -> Reply:
        was = json.dumps(self.tenants, sort_keys=True)
        reply = self.work(request, tenant)
        record.status = reply.status
        record.changed = json.dumps(self.tenants, sort_keys=True) != was
        if record.changed:
            self.save()
        return reply

    # Control

    def _control(self, request: Request) -> Reply:
        try:
            return self._controlled(request, request.path.split("/")[2:])
        except LookupError as error:
            return Reply(404, {"error": f"there is no {error.args[0]}"})
        except (ValueError, TypeError) as error:
            return Reply(400, {"error": str(error)})

    def _controlled(self, request: Request, route: list[str]) -> Reply:
        match (request.method, route):
            case ("GET", ["health"]):
                return Reply(200, {"ready": True, "tenants": len(self.tenants)})
            case ("GET", ["dump"]):
                return Reply(200, self.dump(request.query.get("tenant")))
            case ("POST", ["seed"]):
                given = request.json()
                found = self.seed_demo() if given.get("demo") else []
                return Reply(200, {"tenants": found + [self.seed(one) for one in given.get("tenants", [])]})
            case ("POST", ["reset"]):
                self.reset()
                return Reply(204)
            case ("GET", ["log"]):
                wanted = request.query.get("tenant")
                return Reply(200, {"log": self.journal.read(tenant=wanted, since=int(request.query.get("since", 0)))})
            case ("DELETE", ["log"]):
                self.journal.clear()
                return Reply(204)
            case ("GET", ["faults"]):
                return Reply(200, {"faults": self.faults.as_json()})
            case ("POST", ["faults"]):
                return Reply(201, {"id": self.faults.add(**request.json()).id})
            case ("DELETE", ["faults", *which]):
                self.faults.remove(int(which[0]) if which else None)
                return Reply(204)
        raise LookupError(f"control {request.method} {request.path}")


@contextmanager
def running(*servers: Any) -> Iterator[list[int]]:
    """The ports of servers that run in a thread for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    started: list[Any] = []
    try:
        ports = []
        for server in servers:
            ports.append(run(server.start()))
            started.append(server)
        yield ports
    finally:
        for server in started:
            run(server.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def hosting(host: Host) -> Any:
    """``host`` on a free port of this process, as :func:`running` takes it."""
    return Server(host, "127.0.0.1", 0)


def arguments(name: str) -> argparse.ArgumentParser:
    """The options that every simulator takes."""
    parser = argparse.ArgumentParser(prog=f"python -m connectors.{name}.simulator")
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 picks a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--state", type=Path, help="file that keeps what it holds over a restart")
    parser.add_argument("--demo", action="store_true", help="make the demonstration's tenant unless it is there")
    return parser


def main(name: str, servers: list[Any]) -> int:
    """Run ``servers`` until a signal. Exit status 1 when a port is taken."""

    async def run() -> None:
        ports = [await server.start() for server in servers]
        print(f"{name} simulator at port {', '.join(map(str, ports))}", flush=True)  # noqa: T201 - says where it is
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await stopped.wait()
        for server in servers:
            await server.stop()

    try:
        asyncio.run(run())
    except OSError as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201 - the reason, for whoever started it
        return 1
    return 0
