"""The simulator's own API under ``/_sim/``: seed, dump, log, faults, and questions a test or a demonstration has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.m365.simulator.seed import BadFixture
from connectors.m365.simulator.state import digest
from connectors.m365.simulator.wire import Answer, BadJson, Json, Request

if TYPE_CHECKING:
    from connectors.m365.simulator.app import Simulator


def answer(simulator: Simulator, request: Request) -> Answer:
    """Perform one control request. What is not understood is 400 with the reason."""
    try:
        return _dispatch(simulator, request)
    except (BadFixture, BadJson, ValueError, TypeError) as error:
        return Answer(400, {"error": str(error)})
    except LookupError as error:
        return Answer(404, {"error": f"there is no {error.args[0]}"})


def _dispatch(simulator: Simulator, request: Request) -> Answer:
    verb = (request.method, *request.segments[1:2])
    match verb:
        case ("GET", "health"):
            return Answer(200, {"ready": True, "tenants": len(simulator.tenants)})
        case ("GET", "tenants"):
            return Answer(200, {"tenants": [_tenant(t) for t in simulator.tenants.values()]})
        case ("GET", "dump"):
            whole = request.query.get("whole", "").lower() in ("1", "true")
            return Answer(200, simulator.dump(request.query.get("tenant"), whole=whole))
        case ("GET", "log"):
            return Answer(200, {"log": _log(simulator, request)})
        case ("DELETE", "log"):
            simulator.journal.clear()
            return Answer(204)
        case ("POST", "seed"):
            return Answer(200, {"tenants": _seed(simulator, request.json())})
        case ("POST", "reset"):
            simulator.reset()
            return Answer(204)
        case (_, "faults"):
            return _faults(simulator, request)
        case ("POST", "settings"):
            return Answer(200, simulator.configure(request.json()))
        case ("POST", "check-password"):
            return Answer(200, {"match": _password_matches(simulator, request.json())})
    raise LookupError(f"control {request.method} {request.path}")


def _tenant(tenant: object) -> Json:
    return {
        "id": tenant.id,  # type: ignore[attr-defined]
        "slug": tenant.slug,  # type: ignore[attr-defined]
        "display_name": tenant.display_name,  # type: ignore[attr-defined]
        "domains": [one["name"] for one in tenant.domains],  # type: ignore[attr-defined]
        "apps": sorted(tenant.apps),  # type: ignore[attr-defined]
    }


def _log(simulator: Simulator, request: Request) -> list[Json]:
    query = request.query
    name = query.get("tenant")
    tenant = simulator.tenant(name).id if name else None
    writes = query.get("writes", "").lower() in ("1", "true")
    return simulator.journal.read(tenant=tenant, writes=writes, since=int(query.get("since", 0)))


def _seed(simulator: Simulator, body: Json) -> list[Json]:
    """``{"demo": true}`` or ``{"tenant": fixture}``; ``apps`` gives credentials by slug; ``replace`` starts afresh.

    A tenant that is there already keeps its data. Credentials that are given are set anew; where none are given and the
    tenant is new, they are made and handed out this once.
    """
    unknown = set(body) - {"demo", "tenant", "apps", "replace"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    apps, replace = body.get("apps", {}), bool(body.get("replace"))
    if body.get("demo"):
        return simulator.seed_demo(apps, replace=replace)
    fixture = body.get("tenant") or {}
    return [simulator.seed(fixture, apps.get(fixture.get("slug")), replace=replace)]


def _faults(simulator: Simulator, request: Request) -> Answer:
    if request.method == "GET":
        return Answer(200, {"faults": simulator.faults.as_json()})
    if request.method == "POST":
        given = request.json()
        if given.get("tenant"):
            given["tenant"] = simulator.tenant(given["tenant"]).id
        return Answer(201, {"id": simulator.faults.add(**given).id})
    if request.method == "DELETE":
        which = request.segments[2:]
        simulator.faults.remove(int(which[0]) if which else None)
        simulator.release()
        return Answer(204)
    raise LookupError(f"control {request.method} {request.path}")


def _password_matches(simulator: Simulator, body: Json) -> bool:
    """Whether a user's password is this one (a test of the one-time reveal asks it)."""
    tenant = simulator.tenant(body["tenant"])
    for _, user in tenant.users.present():
        if user["userPrincipalName"].lower() == str(body["user"]).lower():
            record = user["$password"]
            return bool(record["digest"] == digest(record["salt"] + body["password"]))
    raise LookupError(f"user {body['user']}")
