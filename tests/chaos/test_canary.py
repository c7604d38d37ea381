"""Secrets are in the vault and nowhere else: canaries are looked for in logs, tables, WAL and Valkey after runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from redis import Redis

from app.data.vault import get_vault
from app.services import audit, connections, runs
from connectors.testing import Sandbox
from tests.engine.kit import NO_POLICY, Tenant, Workers, chain, make_tenant, off_loop, only_step, wait_for
from tests.servers import TestStack

Json = dict[str, Any]
UPN = "canary@sandbox.example"
RENEE = {"user_principal_name": UPN, "display_name": "Canary", "usage_location": "FR"}


def tables_holding(dsn: str, canaries: list[str]) -> list[tuple[str, str]]:
    """Tables that hold one of the canaries anywhere in a row."""
    found = []
    with psycopg.connect(dsn, autocommit=True) as link:
        names = link.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert len(names) > 20
        for schema, name in names:
            query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, name))
            for (row,) in link.execute(query):
                found += [(name, canary) for canary in canaries if canary in row or hexed(canary) in row]
    return found


def hexed(canary: str) -> str:
    """How a bytea column shows it."""
    return canary.encode().hex()


def wal_of(stack: TestStack) -> bytes:
    """All of the write-ahead log, with what is still in buffers."""
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        link.execute("CHECKPOINT")
        (folder,) = link.execute("SHOW data_directory").fetchone() or ("",)
    return b"".join(path.read_bytes() for path in sorted((Path(folder) / "pg_wal").iterdir()) if path.is_file())


def everything_in(redis: Redis) -> bytes:
    """Every key and value in Valkey."""
    parts = []
    for key in redis.scan_iter():
        parts += [key, redis.dump(key) or b""]
    return b"\0".join(parts)


async def password_of(tenant: Tenant, run_id: Any) -> str:
    """The generated password, read from the vault as a reveal would."""
    return await get_vault("web").get_secret(tenant.client_id, f"run/{run_id}/step/password")


@pytest.mark.chaos
async def test_no_secret_is_anywhere_but_in_the_vault(m365: Sandbox, workers: Workers, stack: TestStack) -> None:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    secret = m365.config.client_secret.get_secret_value()  # type: ignore[attr-defined]
    (worker,) = workers.start()
    m365.control.fault("drop", writes=True)  # the answer is lost, so that the password is used in a recovery too
    create = only_step("m365.user.create", RENEE)["nodes"][0]
    licence = only_step("m365.licence.assign", {"user": UPN, "licences": ["FLOW_FREE"]})["nodes"][0]
    flow = await tenant.publish(chain("Canary", create, {**licence, "id": "licence"}))
    run_id = await runs.start(tenant.engineer, workflow=flow.id, mode="apply")
    run = await wait_for(tenant.engineer, run_id)
    assert run.state == "succeeded", run.reason
    password = await password_of(tenant, run_id)
    check = {"tenant": "sandbox", "user": UPN, "password": password}
    answer = await off_loop(httpx.post, f"{m365.control.url}/_sim/check-password", json=check, trust_env=False)
    assert answer.json() == {"match": True}, "this is the password that was set"

    # A run that fails with the credential in hand, and a failed undo, say more in their errors.
    failing = await tenant.publish(only_step("m365.user.create", {**RENEE, "user_principal_name": "x@nowhere.example"}))
    failed = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=failing.id, mode="apply"))
    assert failed.state == "failed"
    worker.end()

    canaries = [secret, password]
    log = worker.log.read_text()
    assert str(run_id) in log or "worker.ready" in log
    assert [canary for canary in canaries if canary in log] == []
    assert [canary for canary in canaries if canary in run.model_dump_json() + failed.model_dump_json()] == []
    assert tables_holding(stack.superuser_dsn, canaries) == []
    wal = wal_of(stack)
    assert str(UPN).encode() in wal, "what is no secret is found: the search works"
    assert [canary for canary in canaries if canary.encode() in wal] == []
    kept = everything_in(Redis.from_url(stack.redis_url))
    assert [canary for canary in canaries if canary.encode() in kept] == []
    logs = [path for path in (stack.home / "logs").iterdir() if path.is_file()]
    assert [(path.name, canary) for path in logs for canary in canaries if canary.encode() in path.read_bytes()] == []


@pytest.mark.chaos
async def test_what_was_done_and_read_is_in_the_audit_trail(m365: Sandbox, workers: Workers) -> None:
    tenant = await make_tenant(NO_POLICY)
    await tenant.connect(m365)
    workers.start()
    made = await tenant.publish(only_step("m365.user.create", RENEE))
    run_id = await runs.start(tenant.engineer, workflow=made.id, mode="apply")
    assert (await wait_for(tenant.engineer, run_id)).state == "succeeded"
    m365.control.fault("error", writes=True, status=400, code="Request_BadRequest")
    other = {**RENEE, "user_principal_name": "other@sandbox.example"}
    refused = await tenant.publish(only_step("m365.user.create", other))
    refused_id = await runs.start(tenant.engineer, workflow=refused.id, mode="apply")
    assert (await wait_for(tenant.engineer, refused_id)).state == "failed"
    (connection,) = await connections.list_connections(tenant.owner)
    await get_vault("web").delete_credential(tenant.client_id, "m365", connection.id)
    blind = await wait_for(tenant.engineer, await runs.start(tenant.engineer, workflow=made.id, mode="apply"))
    assert blind.state == "failed"
    assert blind.reason is not None
    assert blind.reason["code"] == "credential_missing"

    found = (await audit.list_events(tenant.owner, limit=200)).events
    by_action = {event.action: event for event in found}
    expected = {"user_created", "user_creation_failed", "credential_accessed", "credential_access_failed"}
    assert expected <= set(by_action)
    created, failed = by_action["user_created"], by_action["user_creation_failed"]
    assert (created.target, created.outcome) == (f"m365.user:{UPN}", "success")
    assert created.details["run"] == str(run_id)
    assert created.actor_id == tenant.engineer.actor.account_id
    assert failed.outcome == "failure"
    assert failed.details["run"] == str(refused_id)
    assert by_action["credential_access_failed"].outcome != "success"
    assert json.dumps([event.details for event in found], default=str).count("password") == 0
