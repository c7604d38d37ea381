"""Every route of the API with what JSON or an address can say and the database cannot keep or count: an answer that
says where, and never one that something went wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest

from app.data.counters import get_redis
from tests.servers import TestStack
from tests.stack.people import World, sign_in
from tests.stack.routes import ALL, BODIES, DOCUMENT, GUARDED, Target, signed

NOBODY = "00000000-0000-0000-0000-000000000000"
# As JSON has them.
ODD = {
    "zero": r'"a\u0000b"',
    "half": r'"a\ud800b"',
    "zero in a name": r'{"a\u0000": 1}',
    "half in a name": r'{"\ud800": 1}',
    "large": "1" + "0" * 30,
    "below": "-1" + "0" * 30,
    "infinite": "1e400",
    "no number": '{"a": NaN}',
    "deep": "[" * 300 + "]" * 300,
}
ADDRESSES = ["a\0b", "1" + "0" * 30, "-1", "x" * 3000, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "%"]
# Bodies with every field that a route takes, where an example of the other tests has fewer.
WHOLE: dict[str, Any] = {
    **BODIES,
    "create_token": {"name": "x", "clients": [NOBODY], "lifetime_s": 60},
    "update_client": {"name": "n", "colour": "slate", "tags": ["a"], "variables": {"a": 1}},
    "update_policy": {"rules": [{"actions": ["*"], "risk": "low", "roles": ["approver"], "count": 1}]},
    "change_limits": {"max_running": 1, "starts_per_minute": 1, "history_days": 1},
    "create_client": {"slug": "stolen", "name": "Stolen", "tags": ["x"], "variables": {"a": "b"}},
    "create_member": {"email": "not an address", "name": "Thief", "role": "viewer", "locale": "en"},
    "add": {"alias": "x", "platform": "m365", "name": "x", "config": {"tenant_id": "a"}, "keep_failed": False},
    "update": {"name": "Stolen", "config": {"tenant_id": "x"}},
    "choices": {"action": "m365.user.list", "params": {"a": 1}},
    "save_version": {"revision": 1, "note": "x", "document": DOCUMENT, "publish": True},
    "start": {
        "workflow": "Guarded", "version": 1, "inputs": {"a": 1}, "mode": "plan", "idempotency_key": "k",
        "only_node": "a", "priority": "normal", "rows": [{"a": 1}],
    },
    "create_trigger": {
        "name": "T", "kind": "schedule", "workflow": "Guarded", "version": 1, "mode": "plan", "inputs": {"a": 1},
        "config": {"cron": "0 0 * * *", "zone": "UTC", "jitter_s": 1, "catch_up_limit": 3}, "enabled": False,
    },
    "update_trigger": {
        "name": "S", "workflow": "Guarded", "version": 1, "mode": "plan", "inputs": {"a": 1},
        "config": {"auth": "secret", "payload_schema": {"type": "object"}}, "revision": 1,
    },
    "preview_schedule": {"cron": "0 0 * * *", "zone": "UTC", "jitter_s": 1, "count": 3, "seed": NOBODY},
    "start_wave": {
        "workflow": "Guarded", "version": 1, "inputs": {"a": 1}, "to": ["harbour"], "tags": ["x"], "canary": ["c"],
        "percents": [10], "pause_s": 1, "stop_at_percent": 5, "idempotency_key": "w", "priority": "normal",
    },
    "settle": {"node": "a", "outcome": "done", "output": {"a": 1}},
    "answer": {"answer": {"name": "x"}},
    "again": {"nodes": ["a"], "outputs": {"a": {"b": 1}}, "mode": "plan", "idempotency_key": "k"},
    "decide": {"decision": "deny", "reason": "because", "seal": "s", "otp": "1"},
    "retry": {"nodes": ["a"]},
    "fire_trigger": {"idempotency_key": "f"},
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of everything in a body, itself left out."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        yield (*path, name)
        yield from places(item, (*path, name))


def with_odd(body: Any, path: tuple[Any, ...], odd: str) -> str:
    """``body`` as JSON with ``odd`` at a place."""
    found = deepcopy(body)
    at = found
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = "@here@"
    return json.dumps(found).replace('"@here@"', odd)


def requests(target: Target) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """A name, a path and what goes with it."""
    for name, route in sorted(GUARDED.items()):
        # A password is counted with each try, and a stream goes on.
        if route.name == "change_password" or name.endswith(("/events", "/export")):
            continue
        path, method = target.path(route), name.partition(" ")[0]
        body = WHOLE.get(route.name)
        if body is not None and method in ("POST", "PUT", "PATCH"):
            for place in places(body):
                for what, odd in ODD.items():
                    about = f"{name}: {what} at {'.'.join(map(str, place))}"
                    yield about, path, {"content": with_odd(body, place, odd)}
        if method == "GET":
            for parameter in (one.name for one in route.dependant.query_params):
                for text in ADDRESSES:
                    yield f"{name}: {text[:20]!r} as {parameter}", path, {"params": {parameter: text}}
            for parameter in [part.partition("}")[0] for part in name.split("{")[1:]]:
                for text in ("a%00b", "1" + "0" * 30, "-1", "%ed%a0%80"):
                    yield f"{name}: {text} as {parameter}", target.path(route, **{parameter: text}), {}


async def test_nothing_odd_goes_wrong(web: TestStack, world: World, target: Target, caller: httpx.AsyncClient) -> None:
    headers = signed(await sign_in(web.superuser_dsn, world.staff["owner"]))
    wrong: dict[str, str] = {}
    asked, began = 0, time.monotonic()
    for name, path, more in requests(target):
        sent = {**headers, "content-type": "application/json"}
        answer = await caller.request(name.partition(" ")[0], path, headers=sent, **more)
        asked += 1
        if asked % 1_000 == 0:
            await get_redis().flushdb()  # there are more of them than anybody may send in a minute
        if answer.status_code >= 500 and answer.status_code != 502:  # 502: the platform's word
            wrong[name] = answer.text
    assert wrong == {}, f"of {asked} in {time.monotonic() - began:.0f} s"
    assert asked > 1_000


@pytest.mark.parametrize("odd", ["zero", "half", "zero in a name", "half in a name"])
async def test_it_is_said_where(
    web: TestStack, world: World, target: Target, caller: httpx.AsyncClient, odd: str
) -> None:
    headers = signed(await sign_in(web.superuser_dsn, world.staff["owner"])) | {"content-type": "application/json"}
    path = target.path(ALL["PATCH /api/v1/clients/{client}"])
    body = with_odd({"variables": {"list": [1, "here"]}}, ("variables", "list", 1), ODD[odd])
    answer = await caller.patch(path, content=body, headers=headers)
    (problem,) = answer.json()["errors"]
    assert (answer.status_code, problem["code"], problem["field"]) == (422, "not_storable", "variables.list.1")
    policy = target.path(ALL["PUT /api/v1/clients/{client}/policy"])
    body = with_odd({"rules": [{"roles": ["owner"], "actions": ["x"]}]}, ("rules", 0, "actions", 0), ODD[odd])
    answer = await caller.put(policy, content=body, headers=headers)
    assert answer.json()["errors"][0]["field"] == "rules.0.actions.0"
    answer = await caller.get(
        target.path(ALL["GET /api/v1/clients/{client}/runs"]), params={"search": "a\0"}, headers=headers
    )
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "search")
