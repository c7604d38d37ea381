"""The gateway: sign-in over HTTP, problem+json for whatever is wrong, limits, headers, operations."""

from __future__ import annotations

import json

import httpx
import pytest

from app.core.settings import get_settings
from app.data import counters
from app.services import auth
from tests.servers import TestStack
from tests.stack.people import World, code_of, forget_codes, sign_in

pytestmark = pytest.mark.usefixtures("calm")


@pytest.fixture
async def token(web: TestStack, world: World) -> str:
    signed = await sign_in(web.superuser_dsn, world.boss)
    made = await auth.create_token(await auth.resolve_session(signed.token), name="test")
    return made.token


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def origin() -> dict[str, str]:
    return {"Origin": get_settings().base_url}


def cookie(token: str) -> dict[str, str]:
    return {"Cookie": f"{auth.SESSION_COOKIE}={token}"}


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert (found["status"], found["code"]) == (status, code)
    assert found["title"]
    return found


async def test_a_token_for_password_and_code(web: TestStack, world: World, http: httpx.AsyncClient) -> None:
    forget_codes(web.superuser_dsn, world.boss)
    sent = {"email": world.boss.email, "password": world.boss.password, "otp": code_of(world.boss)}
    answer = await http.post("/api/v1/auth/token", json=sent)
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] > 3600
    mine = await http.get("/api/v1/clients", headers=bearer(answer.json()["access_token"]))
    assert {client["slug"] for client in mine.json()} == {world.msp.slug, world.one.slug, world.two.slug}
    again = await http.post("/api/v1/auth/token", json=sent)
    found = assert_problem(again, 401, "code_used")
    assert found["errors"][0]["field"] == "otp"
    assert int(again.headers["retry-after"]) > 0
    wrong = await http.post("/api/v1/auth/token", json={**sent, "password": "no"})
    assert assert_problem(wrong, 401, "password_wrong")["errors"][0]["field"] == "password"
    assert world.boss.password not in again.text + wrong.text


@pytest.mark.parametrize(("body", "status", "code", "field"), [
    (b"{not json", 400, "body_not_json", "body"),
    (b"[]", 422, "invalid", None),
    (b"{}", 422, "invalid", "email"),
    (b'{"email": "a@b.example", "password": "x", "admin": true}', 422, "invalid", "admin"),
    (b'{"email": 1, "password": "x"}', 422, "invalid", "email"),
    (b"\xff\xfe", 400, "body_not_json", "body"),
])  # fmt: skip
async def test_a_wrong_body_says_where(http, body: bytes, status: int, code: str, field: str | None) -> None:
    answer = await http.post("/api/v1/auth/token", content=body, headers={"Content-Type": "application/json"})
    found = assert_problem(answer, status, code)
    if field:
        assert field in {each["field"] for each in found["errors"]}


async def test_a_password_in_a_wrong_body_is_not_repeated(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/v1/auth/token", json={"email": 1, "password": "canary-password", "x": "canary-x"})
    assert "canary" not in answer.text


async def test_a_body_that_is_too_large_is_refused_whatever_it_says_of_itself(http: httpx.AsyncClient) -> None:
    async def chunks():
        for _ in range(6):
            yield b" " * 1_000_000

    for content in (b" " * 6_000_000, chunks()):
        answer = await http.post("/api/v1/auth/token", content=content)
        assert_problem(answer, 413, "too_large")


async def test_unknown_addresses_and_methods_are_problems_too(http: httpx.AsyncClient) -> None:
    assert_problem(await http.get("/api/v1/nothing"), 404, "not_found")
    assert_problem(await http.get("/api/"), 404, "not_found")
    assert_problem(await http.delete("/api/v1/clients"), 405, "method_not_allowed")


@pytest.mark.parametrize("header", ["Bearer x", "Bearer", "Basic eDp5", "Bearer olt_" + "a" * 43, "Bearer é"])
async def test_what_is_no_token_is_refused(http: httpx.AsyncClient, header: str) -> None:
    answer = await http.get("/api/v1/clients", headers={"Authorization": header.encode()})
    assert_problem(answer, 401, "token_invalid")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert_problem(await http.get("/api/v1/clients"), 401, "not_signed_in")


async def test_another_clients_things_are_not_there(world: World, http: httpx.AsyncClient, token: str) -> None:
    from app.core.ids import new_id

    for path in (f"nobody/runs/{new_id()}", f"{new_id()}/runs", f"{world.one.slug}/runs/{new_id()}",
                 f"{world.one.slug}/runs/not-an-id", f"{world.one.slug}/workflows/none"):  # fmt: skip
        assert_problem(await http.get(f"/api/v1/clients/{path}", headers=bearer(token)), 404, "not_found")


async def test_signing_in_from_the_page_sets_the_cookie(web: TestStack, world: World, http: httpx.AsyncClient) -> None:
    forget_codes(web.superuser_dsn, world.boss)
    form = {"email": world.boss.email, "password": world.boss.password, "otp": "", "next": "/c/x/runs"}
    back = await http.post("/api/v1/auth/sign-in", data=form, headers=origin())
    assert (back.status_code, "otp_required" in back.headers["location"]) == (303, True)
    form["otp"] = code_of(world.boss)
    answer = await http.post("/api/v1/auth/sign-in", data=form, headers=origin())
    assert (answer.status_code, answer.headers["location"]) == (303, "/c/x/runs")
    used = await http.post("/api/v1/auth/sign-in", data=form, headers=origin())
    assert "error=otp_used" in used.headers["location"]
    assert "retry_after=" in used.headers["location"]
    wrong = await http.post("/api/v1/auth/sign-in", data={**form, "otp": "000000"}, headers=origin())
    assert "error=otp_wrong" in wrong.headers["location"]
    set_cookie = answer.headers["set-cookie"]
    for part in ("__Host-opsloom=ols_", "HttpOnly", "Secure", "Path=/", "SameSite=lax"):
        assert part in set_cookie
    assert "Domain" not in set_cookie
    session = set_cookie.partition(";")[0].partition("=")[2]
    assert (await http.get("/api/v1/auth/me", headers=cookie(session))).json()["email"] == world.boss.email
    out = await http.post("/api/v1/auth/sign-out", headers={**origin(), **cookie(session)})
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in?out=1")
    assert_problem(await http.get("/api/v1/auth/me", headers=cookie(session)), 401, "session_ended")


@pytest.mark.parametrize("next_", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "",
                                   "/\tx", "\\\\evil.example"])  # fmt: skip
async def test_signing_in_leads_nowhere_else(web, world: World, http: httpx.AsyncClient, next_: str) -> None:
    forget_codes(web.superuser_dsn, world.boss)
    form = {"email": world.boss.email, "password": world.boss.password, "otp": code_of(world.boss), "next": next_}
    answer = await http.post("/api/v1/auth/sign-in", data=form, headers=origin())
    assert answer.headers["location"] == "/"


async def test_another_sites_page_can_do_nothing_with_the_cookie(web, world: World, http: httpx.AsyncClient) -> None:
    session = cookie((await sign_in(web.superuser_dsn, world.boss)).token)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
        sent = {**session, **headers}
        answer = await http.post(f"/api/v1/clients/{world.one.slug}/workflows", json={"name": "x"}, headers=sent)
        assert_problem(answer, 403, "wrong_origin")
        assert_problem(await http.post("/api/v1/auth/sign-in", data={}, headers=headers), 403, "wrong_origin")
        assert_problem(await http.post("/api/v1/auth/sign-out", headers=sent), 403, "wrong_origin")
    assert (await http.get("/api/v1/auth/me", headers=session)).status_code == 200


async def test_floods_are_slowed_down(web: TestStack, http: httpx.AsyncClient, token: str) -> None:
    limit = get_settings().api_rate_per_minute
    await http.get("/api/v1/clients", headers=bearer(token))
    key = (await counters.get_redis().keys("opsloom:count:rate-signed-in:*"))[0]
    await counters.get_redis().set(key, limit, keepttl=True)
    answer = await http.get("/api/v1/clients", headers=bearer(token))
    assert_problem(answer, 429, "too_many")
    assert 0 < int(answer.headers["retry-after"]) <= 60


async def test_the_api_works_without_redis(web, http: httpx.AsyncClient, token: str, monkeypatch) -> None:
    from redis.asyncio import Redis

    with monkeypatch.context() as patch:
        patch.setattr(counters, "get_redis", lambda: Redis.from_url("redis://127.0.0.1:9", socket_timeout=0.2))
        assert (await http.get("/api/v1/clients", headers=bearer(token))).status_code == 200


async def test_every_answer_has_a_number_and_careful_headers(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/v1/clients", headers={"X-Request-Id": "abcdef-123456"})
    assert answer.headers["x-request-id"] == "abcdef-123456"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    other = await http.get("/api/v1/clients", headers={"X-Request-Id": "a\u00e9 <script>".encode()})
    assert other.headers["x-request-id"].isalnum()


async def test_a_page_says_which_scripts_may_run(http: httpx.AsyncClient) -> None:
    import base64
    import hashlib

    answer = await http.get("/anything", headers={"Accept": "text/html", "Host": "localhost"})
    found = answer.headers["content-security-policy"]
    expected = base64.b64encode(hashlib.sha256(b"let a = 1").digest()).decode()
    assert f"script-src 'self' 'sha256-{expected}'" in found
    assert "frame-ancestors 'none'" in found
    assert "unsafe-inline" not in found.partition("script-src")[2].partition(";")[0]


async def test_another_name_of_this_machine_leads_to_the_one_the_cookie_is_for(http: httpx.AsyncClient) -> None:
    answer = await http.get("/c/x?a=1", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (307, f"{get_settings().base_url}/c/x?a=1")
    safe = await http.get("//evil.example/x", headers={"Accept": "text/html"})
    assert safe.headers.get("location", "").startswith(get_settings().base_url)


async def test_a_page_load_renews_an_old_cookie_and_drops_a_dead_one(web, world: World, http) -> None:
    from datetime import timedelta

    from tests.stack.test_sessions import age

    html = {"Accept": "text/html", "Host": "localhost"}
    signed = await sign_in(web.superuser_dsn, world.boss)
    young = await http.get("/", headers={**html, **cookie(signed.token)})
    assert "set-cookie" not in young.headers
    age(web, signed.token, timedelta(minutes=20))
    old = await http.get("/", headers={**html, **cookie(signed.token)})
    assert old.headers["set-cookie"].startswith("__Host-opsloom=ols_")
    dead = await http.get("/", headers={**html, **cookie("ols_" + "a" * 43)})
    assert "Max-Age=0" in dead.headers["set-cookie"]


async def test_operators_see_parts_and_numbers(web: TestStack, http: httpx.AsyncClient, token: str) -> None:
    assert (await http.get("/healthz")).json() == {"alive": True}
    ready = await http.get("/readyz")
    assert ready.status_code == 200, ready.text
    states = {name: part["state"] for name, part in ready.json()["parts"].items()}
    assert states["postgres"] == states["redis"] == states["vault"] == "up"
    numbers = (await http.get("/metrics")).text
    assert 'api_request_duration_seconds_count{endpoint="/api/v1/clients",method="GET"' in numbers
    for name in ("api_request_duration_seconds", "authentication_attempts_total", "audit_events_total",
                 "authorization_failures_total", "opsloom_queue_runs", "opsloom_workers", "opsloom_part_up",
                 "user_operations_total", "workflow_executions_total",
                 "external_api_call_duration_seconds"):  # fmt: skip
        assert name in numbers
    through_a_proxy = {"X-Forwarded-For": "203.0.113.9"}
    assert_problem(await http.get("/metrics", headers=through_a_proxy), 401, "not_signed_in")
    assert (await http.get("/metrics", headers={**through_a_proxy, **bearer(token)})).status_code == 200


async def test_the_documentation_loads_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    described = (await http.get("/api/v1/openapi.json")).json()
    assert described["openapi"].startswith("3.")
    docs = await http.get("/api/v1/docs")
    assert "<script" not in docs.text
    assert "//" not in docs.text.replace("http://www.w3.org", "")
    for path in described["paths"]:
        assert path in docs.text


async def test_a_workflow_goes_in_and_comes_out(world: World, http: httpx.AsyncClient, token: str) -> None:
    base, head = f"/api/v1/clients/{world.one.slug}/workflows", bearer(token)
    document = {"schema": "opsloom/workflow@1", "name": "Note", "nodes": [{"id": "a", "type": "flow.noop"}]}
    made = await http.post(base, json={"name": "Note", "document": document}, headers=head)
    assert made.status_code == 201, made.text
    saved = await http.post(f"{base}/Note/versions", json={"note": "first"}, headers=head)
    assert (saved.status_code, saved.json()["version"]) == (201, 1)
    published = await http.post(f"{base}/{made.json()['id']}/publish", json={"version": 1}, headers=head)
    assert published.json()["published_at"]
    cyclic = {**document, "nodes": [{"id": "a", "type": "flow.noop"}, {"id": "b", "type": "nothing"}],
              "edges": [{"source": "a", "target": "b"}, {"source": "b", "target": "a"}]}  # fmt: skip
    answer = await http.post(f"{base}/validate", json={"document": cyclic}, headers=head)
    assert answer.json()["valid"] is False
    assert {"b"} <= {problem.get("node") for problem in answer.json()["problems"]}
    stale = await http.put(f"{base}/Note/draft", json={"document": document, "revision": 99}, headers=head)
    assert_problem(stale, 409, "draft_stale")
    run = await http.post(f"/api/v1/clients/{world.one.slug}/runs", json={"workflow": "Note"}, headers=head)
    assert (run.status_code, run.json()["state"], run.json()["mode"]) == (201, "queued", "plan")
    assert "preference-applied" not in run.headers
    awaited = await http.post(
        f"/api/v1/clients/{world.one.slug}/runs", json={"workflow": "Note"}, headers={**head, "Prefer": "wait=1"}
    )
    assert (awaited.status_code, awaited.json()["state"]) == (201, "queued"), "no worker is there to end it"
    assert awaited.headers["preference-applied"] == "wait=1"
    assert_problem(
        await http.get(f"/api/v1/clients/{world.two.slug}/runs/{run.json()['id']}", headers=head), 404, "not_found"
    )


async def test_a_run_is_followed_as_server_sent_events(world: World, http: httpx.AsyncClient, token: str) -> None:
    runs = (await http.get(f"/api/v1/clients/{world.one.slug}/runs", headers=bearer(token))).json()
    path = f"/api/v1/clients/{world.one.slug}/runs/{runs[0]['id']}"
    async with http.stream("GET", f"{path}/events", headers=bearer(token)) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in _first_event(stream)]
        assert lines[1] == "event: run"
        assert json.loads(lines[2].removeprefix("data: "))["id"] == runs[0]["id"]


async def _first_event(stream: httpx.Response):
    async for line in stream.aiter_lines():
        if not line:
            return
        yield line


async def test_an_audit_export_is_verified_offline(world: World, http: httpx.AsyncClient, token: str) -> None:
    from app.core.chain_export import verify_export

    answer = await http.get(f"/api/v1/clients/{world.one.slug}/audit/export", headers=bearer(token))
    assert "attachment" in answer.headers["content-disposition"]
    report = verify_export(answer.text.split("\n"))
    assert report.ok, report.findings
    page = (await http.get(f"/api/v1/clients/{world.one.slug}/audit?limit=3", headers=bearer(token))).json()
    assert len(page["events"]) == 3


async def test_a_one_time_link_works_without_an_account(web, world: World, http: httpx.AsyncClient) -> None:
    from app.services import reveals
    from tests.stack.test_reveals import secret, token_of

    ctx = await world.context("helpdesk")
    link = token_of(await reveals.create_link(ctx, (await secret(ctx)).id))
    french = {"Accept-Language": "fr-FR,fr;q=0.9,en;q=0.8"}
    looked = await http.get(f"/reveal/{link}", headers=french)
    assert looked.status_code == 200
    assert "Premier mot de passe" in looked.text
    assert "canary" not in looked.text
    shown = await http.post(f"/reveal/{link}", headers=french)
    assert "canary-password" in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert "<script" not in shown.text
    gone = await http.post(f"/reveal/{link}")
    assert (gone.status_code, "does not work any more" in gone.text) == (404, True)


async def test_a_document_may_be_sent_as_the_file_has_it(world: World, http: httpx.AsyncClient, token: str) -> None:
    base, head = f"/api/v1/clients/{world.two.slug}/workflows", bearer(token)
    document = {"schema": "opsloom/workflow@1", "name": "Bare", "nodes": [{"id": "a", "type": "flow.noop"}]}
    assert (await http.post(f"{base}/validate", json=document, headers=head)).json()["valid"] is True
    made = await http.post(base, json=document, headers=head)
    assert (made.status_code, made.json()["name"]) == (201, "Bare")
    assert_problem(await http.post(f"{base}/Bare/publish", headers=head), 404, "not_found")
    changed = {**document, "nodes": [{"id": "b", "type": "flow.noop"}]}
    saved = await http.post(f"{base}/Bare/versions", json=changed, headers=head)
    assert (saved.json()["version"], saved.json()["document"]["nodes"][0]["id"]) == (1, "b")
    assert (await http.post(f"{base}/Bare/publish", headers=head)).json()["published_at"]
