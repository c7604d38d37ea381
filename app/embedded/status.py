"""`opsloom status`: what runs, asked of each part itself and not only of the supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import psycopg
import redis
from psycopg.rows import dict_row

from app.core.settings import Settings
from app.embedded import openbao, postgres, simulators, valkey, web
from app.embedded.control import Supervisor
from app.embedded.layout import Layout
from app.embedded.state import State

Report = dict[str, Any]
_CORE = (("postgres", "postgres"), ("redis", "valkey"), ("vault", "openbao"))


def status(settings: Settings) -> Report:
    """``{"ready", "url", "parts"}``. A part is ``up``, ``starting``, ``restarting``, ``failing`` or ``down``."""
    layout = Layout(settings.home)
    parts = _embedded(layout, settings) if layout.state_file.exists() else _elsewhere(settings)
    ready = all(part["state"] == "up" for part in _each(parts))
    return {"ready": ready, "url": settings.base_url, "parts": parts}


def _each(parts: Mapping[str, Report]) -> list[Report]:
    """Every part, simulators one by one."""
    plain = [part for name, part in parts.items() if name != "simulators"]
    return [*plain, *parts.get("simulators", {}).values()]


def _embedded(layout: Layout, settings: Settings) -> dict[str, Report]:
    state = State.load(layout)
    kept = Supervisor(layout).status()
    answers = {"postgres": postgres.ready, "redis": valkey.ready, "vault": openbao.ready}
    addresses = {
        "postgres": {"dsn": postgres.dsn(state, "opsloom_web")},
        "redis": {"url": valkey.url(state)},
        "vault": {"url": settings.vault_url},
    }
    found = {
        name: {**_state(kept.get(part), lambda name=name: answers[name](state)), **addresses[name]}
        for name, part in _CORE
    }
    found["web"] = {
        **_state(kept.get("web"), lambda: web.answers(settings, "/readyz")),
        "url": settings.base_url,
    }
    found["scheduler"] = _state(kept.get("scheduler"))
    found["workers"] = {**_workers(kept, settings.workers), "leases": _leases(settings.database_url_web)}
    found["simulators"] = {
        one.platform: {
            **_state(kept.get(one.name), lambda one=one: simulators.listening(state.ports[one.name])),
            "url": one.url(state),
        }
        for one in simulators.available()
        if one.name in state.ports
    }
    return found


def _state(kept: Report | None, answers: Any = None) -> Report:
    """The supervisor's word, and for a part that it calls up, the part's own."""
    if kept is None:
        return {"state": "down"}
    state = kept["state"]
    if state == "up" and answers is not None and not answers():
        state = "failing"
    return {"state": state, "pid": kept["pid"], "restarts": kept["restarts"]}


def _workers(kept: Mapping[str, Report], wanted: int) -> Report:
    up = [part["pid"] for name, part in kept.items() if name.startswith("worker-") and part["state"] == "up"]
    state = "up" if len(up) >= wanted else "starting" if up else "down"
    return {"state": state, "count": len(up), "wanted": wanted, "pids": up}


def _elsewhere(settings: Settings) -> dict[str, Report]:
    """Where the servers are someone else's: ask each address."""
    return {
        "postgres": {"state": _up(_postgres_answers, settings.database_url_web), "dsn": settings.database_url_web},
        "redis": {"state": _up(_redis_answers, settings.redis_url), "url": settings.redis_url},
        "vault": {"state": _up(_vault_answers, settings.vault_url), "url": settings.vault_url},
        "web": {"state": "up" if web.answers(settings, "/readyz") else "down", "url": settings.base_url},
        "workers": _leased(_leases(settings.database_url_web), settings.workers),
    }


def _leased(leases: list[Report], wanted: int) -> Report:
    """The workers of elsewhere, as far as the database knows them."""
    count = sum(one["kind"] == "worker" and one["alive"] for one in leases)
    return {"state": "up" if count else "down", "count": count, "wanted": wanted, "leases": leases}


def _leases(dsn: str) -> list[Report]:
    """Who holds a lease, with what code, when it was heard last and how many runs it has; empty where nobody tells."""
    query = "SELECT name, kind, code, alive, holds, started_at, heard_at FROM doors.lease_holders()"
    try:
        with psycopg.connect(dsn, connect_timeout=3, row_factory=dict_row) as link:
            return [
                {**row, "started_at": row["started_at"].isoformat(), "heard_at": row["heard_at"].isoformat()}
                for row in link.execute(query).fetchall()
            ]
    except psycopg.Error:
        return []


def _up(answers: Any, address: str) -> str:
    return "up" if address and answers(address) else "down"


def _postgres_answers(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn, connect_timeout=3) as link:
            link.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def _redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=3) as link:
            return bool(link.ping())
    except redis.RedisError:
        return False


def _vault_answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/sys/health", timeout=3).status_code in (200, 429)
    except httpx.HTTPError:
        return False


def table(report: Report) -> str:
    """The report for a person: one line a part, without passwords."""
    rows = [("opsloom", "ready" if report["ready"] else "not ready", report["url"])]
    for name, part in report["parts"].items():
        if name == "simulators":
            rows += [(f"simulator {platform}", one["state"], one["url"]) for platform, one in part.items()]
        else:
            rows.append((name, part["state"], _detail(name, part)))
            rows += [_lease(one) for one in part.get("leases", ())]
    return "\n".join(f"{name:<16} {state:<11} {detail}".rstrip() for name, state, detail in rows)


def _lease(one: Report) -> tuple[str, str, str]:
    hand = f"{one['holds']} runs in hand, " if one["kind"] == "worker" else ""
    told = f"{one['name']}  {hand}heard {one['heard_at'][11:19]} UTC, code {one['code'] or 'unknown'}"
    return f"  {one['kind']}", "alive" if one["alive"] else "silent", told


def _detail(name: str, part: Report) -> str:
    if name == "workers":
        return f"{part['count']} of {part['wanted']}"
    restarts = f"{part['restarts']} restarts" if part.get("restarts") else ""
    return restarts if name in ("postgres", "redis") else " ".join(filter(None, (part.get("url", ""), restarts)))
