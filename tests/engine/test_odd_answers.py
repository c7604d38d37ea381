"""Platforms that answer with what JSON can say and PostgreSQL cannot keep: runs go on, and nothing is done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from app.core.settings import get_settings
from app.services import connections, runs
from app.services.run_views import RunView
from connectors.testing import Sandbox
from tests.engine.kit import NO_POLICY, OVER, Tenant, Workers, chain, make_tenant, wait_for
from tests.servers import TestStack

Json = dict[str, Any]
HOST = "odd.sandbox.example"
ANSWERS: dict[str, tuple[int, str, bytes]] = {
    "zero": (200, "application/json", rb'{"a\u0000": "x\u0000y"}'),
    "half": (200, "application/json", rb'{"a\ud800": "x\udc00y", "whole": "\ud83d\ude00"}'),
    "seven": (200, "text/plain; charset=utf-7", b"+2AA-"),
    "undefined": (200, "text/plain; charset=undefined", b"x"),
    "refused": (400, "text/plain; charset=utf-7", b"a\0b +2AA-"),
}


@contextmanager
def odd() -> Iterator[tuple[str, Counter[str]]]:
    """The address of a server that gives these answers, and how often it was asked for each."""
    asked: Counter[str] = Counter()

    class Odd(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            name = self.path.strip("/") or "undefined"
            asked[name] += 1
            status, kind, body = ANSWERS[name]
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


async def outcomes(tenant: Tenant, kind: str) -> dict[str, RunView]:
    """What becomes of a run over each answer."""
    started = {}
    for name in ANSWERS:
        params: Json = {"url": f"https://{HOST}/{name}"}
        if kind == "send":
            params |= {"data": {"a": 1}, "repeatable": True}
        step = {"id": "step", "type": f"http.request.{kind}", "connection": "odd", "params": params}
        flow = await tenant.publish(chain(f"{kind} {name}", step, {"id": "after", "type": "flow.noop"}))
        started[name] = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    return {name: await wait_for(tenant.engineer, run, (*OVER, "waiting")) for name, run in started.items()}


@pytest.mark.parametrize("kind", ["get", "send"])
async def test_an_odd_answer_is_kept_as_well_as_it_can_be(
    web: TestStack, sandboxes: dict[str, Sandbox], workers: Workers, kind: str
) -> None:
    """It was a run that failed without a step, and a write that was sent again and again or asked a person."""
    with odd() as (address, asked):
        leads = get_settings().endpoints["http"]
        leads[HOST] = address
        try:
            workers.start()
            tenant = await make_tenant(NO_POLICY)
            await connections.add(
                tenant.engineer, alias="odd", platform="http", name="Odd", config={"hosts": [HOST]}, keep_failed=True
            )
            asked.clear()
            found = await outcomes(tenant, kind)
        finally:
            del leads[HOST]
    assert {name: run.state for name, run in found.items()} == {
        **dict.fromkeys(ANSWERS, "succeeded"),
        "refused": "failed",
    }
    given: dict[str, Any] = {name: run.steps[0].output for name, run in found.items() if run.state == "succeeded"}
    assert given["zero"]["data"] == {"a\ufffd": "x\ufffdy"}
    assert given["half"]["data"] == {"a\ufffd": "x\ufffdy", "whole": "😀"}
    assert given["seven"]["text"] == "\ufffd"
    assert given["undefined"]["text"] == "x"
    error: Any = found["refused"].steps[0].error
    assert (error["code"], error["details"]["answer"]) == ("unexpected_status", "a\ufffdb \ufffd")
    if kind == "send":
        assert set(asked.values()) == {1}
