"""Errors as problem+json, whatever their kind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from app.api import problems
from app.api.middleware import BodyLimit, Envelope
from app.core.errors import Forbidden, Invalid, Problem, Stale, TooMany


class Body(BaseModel):
    count: int
    inner: dict[str, int] = {}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    problems.install(app)
    errors = {
        "invalid": Invalid("Wrong.", problems=[Problem("x", "Because.", field="a.b", row=3, params={"n": 1})]),
        "forbidden": Forbidden("run.start"),
        "stale": Stale("Moved.", params={"draft": {"secret": "document"}, "revision": 2}),
        "slow": TooMany("Wait.", params={"retry_after": 7}),
        "unforeseen": RuntimeError("canary-detail"),
    }

    @app.get("/{kind}")
    async def fail(kind: str) -> None:
        raise errors[kind]

    @app.post("/body")
    async def read(body: Body) -> Body:
        return body

    app.add_middleware(BodyLimit, limit=100)
    app.add_middleware(Envelope)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as found:
        yield found


async def test_fields_rows_and_reasons_are_told(client: httpx.AsyncClient) -> None:
    answer = await client.get("/invalid")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:opsloom:error:invalid", "title": "Wrong.", "status": 422, "code": "invalid", "params": {},
        "errors": [{"code": "x", "message": "Because.", "field": "a.b", "row": 3, "params": {"n": 1},
                    "severity": "error"}],
    }  # fmt: skip


async def test_each_kind_has_its_status(client: httpx.AsyncClient) -> None:
    assert (await client.get("/forbidden")).status_code == 403
    stale = await client.get("/stale")
    assert (stale.status_code, stale.json()["params"]) == (409, {"revision": 2})
    slow = await client.get("/slow")
    assert (slow.status_code, slow.headers["retry-after"]) == (429, "7")


async def test_what_nobody_foresaw_tells_a_reference_only(client: httpx.AsyncClient) -> None:
    answer = await client.get("/unforeseen")
    assert answer.status_code == 500
    assert "canary" not in answer.text
    assert answer.json()["params"]["reference"]


@pytest.mark.parametrize(("content", "status", "fields"), [
    (b"{", 400, {"body"}),
    (b"[]", 422, {"body"}),
    (b"{}", 422, {"count"}),
    (b'{"count": "x"}', 422, {"count"}),
    (b'{"count": 1, "inner": {"a": "x"}}', 422, {"inner.a"}),
    (b'{"count": 1, "inner": {"a": ' + b" " * 100 + b"1}}", 413, set()),
])  # fmt: skip
async def test_a_wrong_body_names_its_fields(client, content: bytes, status: int, fields: set[str]) -> None:
    answer = await client.post("/body", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert {each["field"] for each in answer.json()["errors"]} == fields


async def test_what_is_no_object_is_told_so(client: httpx.AsyncClient) -> None:
    answer = await client.post("/body", content=b"[1]", headers={"Content-Type": "application/json"})
    assert answer.json()["errors"][0]["message"] == "body has to be a JSON object."


async def test_no_body_is_said_too(client: httpx.AsyncClient) -> None:
    answer = await client.post("/body")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "missing_param")
