"""The simulator's own API under ``/_sim/``: health, accounts, seed, dump, log, faults, reset."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from connectors.aws.simulator.app import Simulator

Json = dict[str, Any]
Reply = tuple[int, list[tuple[str, str]], bytes]


def answer(simulator: Simulator, environ: Json) -> Reply:
    """Perform one control request. What is not understood is 400 with the reason."""
    try:
        return _as_reply(*_dispatch(simulator, environ))
    except (ValueError, TypeError, KeyError) as error:
        return _as_reply(400, {"error": str(error)})
    except LookupError as error:
        return _as_reply(404, {"error": f"there is no {error.args[0]}"})


def _dispatch(simulator: Simulator, environ: Json) -> tuple[int, Any]:
    method, segments = environ["REQUEST_METHOD"], environ["PATH_INFO"].strip("/").split("/")[1:]
    query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
    match (method, segments[0]):
        case ("GET", "health"):
            return 200, {"ready": True, "accounts": len(simulator.cloud.accounts)}
        case ("GET", "tenants"):
            named = ("slug", "account_id", "display_name", "region")
            accounts = simulator.cloud.accounts.values()
            return 200, {"tenants": [{name: one[name] for name in named} for one in accounts]}
        case ("GET", "dump"):
            return 200, simulator.dump(query.get("tenant"))
        case ("GET", "log"):
            return 200, {"log": _log(simulator, query)}
        case ("DELETE", "log"):
            simulator.journal.clear()
            return 204, None
        case ("POST", "seed"):
            return 200, {"tenants": _seed(simulator, _body(environ))}
        case ("POST", "reset"):
            simulator.reset()
            return 204, None
        case (_, "faults"):
            return _faults(simulator, method, segments[1:], environ)
    raise LookupError(f"control {method} {environ['PATH_INFO']}")


def _log(simulator: Simulator, query: dict[str, str]) -> list[Json]:
    tenant = simulator.cloud.account(query["tenant"])["slug"] if "tenant" in query else None
    writes = query.get("writes", "").lower() in ("1", "true")
    return simulator.journal.read(tenant=tenant, writes=writes, since=int(query.get("since", 0)))


def _seed(simulator: Simulator, body: Json) -> list[Json]:
    """``{"demo": true}`` or ``{"tenants": [fixture, …]}``; ``keys`` gives access keys by slug."""
    unknown = set(body) - {"demo", "tenants", "keys"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    keys = body.get("keys", {})
    seeded = simulator.seed_demo(keys) if body.get("demo") else []
    return seeded + [simulator.seed(fixture, keys.get(fixture["slug"])) for fixture in body.get("tenants", [])]


def _faults(simulator: Simulator, method: str, which: list[str], environ: Json) -> tuple[int, Any]:
    if method == "GET":
        return 200, {"faults": simulator.faults.as_json()}
    if method == "POST":
        given = _body(environ)
        if given.get("tenant"):
            given["tenant"] = simulator.cloud.account(given["tenant"])["slug"]
        return 201, {"id": simulator.faults.add(**given).id}
    if method == "DELETE":
        simulator.faults.remove(int(which[0]) if which else None)
        return 204, None
    raise LookupError(f"control {method} {environ['PATH_INFO']}")


def _body(environ: Json) -> Json:
    raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    body = json.loads(raw or b"{}")
    if not isinstance(body, dict):
        raise ValueError("the body is a JSON object")  # noqa: TRY004 - answered as 400 like every bad value
    return body


def _as_reply(status: int, body: Any) -> Reply:
    text = "" if body is None else json.dumps(body, sort_keys=True, ensure_ascii=False)
    return status, [("Content-Type", "application/json")], text.encode()
