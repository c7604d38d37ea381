"""The embedded servers: how they are closed off, and what killing them leaves."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import hvac
import psycopg
import pytest

from app.embedded import openbao
from app.embedded.core import Stack, start_core
from app.embedded.progress import Progress
from tests.servers import TestStack, kill_all

CLOSED_OFF = {
    "listen_addresses": "127.0.0.1",
    "password_encryption": "scram-sha-256",
    "log_min_error_statement": "panic",
    "unix_socket_permissions": "0700",
}


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _answers(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn, connect_timeout=2) as link:
            link.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def _again(stack: TestStack) -> Stack:
    return Stack.open(stack.servers.layout, Progress(quiet=True), owner=os.getpid())


def test_postgres_is_closed_off(stack: TestStack) -> None:
    with psycopg.connect(stack.superuser_dsn) as link:
        shown = {
            name: link.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index]
            for name in (
                "listen_addresses",
                "password_encryption",
                "log_min_error_statement",
                "unix_socket_permissions",
            )
        }
        rules = link.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
    assert shown == CLOSED_OFF
    assert rules == [("scram-sha-256",)]


def test_a_failed_statement_leaves_no_value_in_the_log(stack: TestStack) -> None:
    canary = "canary-in-a-statement-51c2"
    with psycopg.connect(stack.superuser_dsn, autocommit=True) as link:
        with pytest.raises(psycopg.Error):
            link.execute(f"SELECT '{canary}'::int")
        link.execute("CREATE TEMP TABLE once (x text PRIMARY KEY)")
        link.execute("INSERT INTO once VALUES (%s)", (canary,))
        with pytest.raises(psycopg.errors.UniqueViolation):
            link.execute("INSERT INTO once VALUES (%s)", (canary,))
    log = (stack.home / "logs" / "postgres.log").read_text()
    assert "ready to accept connections" in log
    assert canary not in log


def test_everything_under_the_home_is_private(stack: TestStack) -> None:
    for path in (*stack.home.glob("*.json"), *(stack.home / "openbao").iterdir(), *(stack.home / "keys").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE((stack.home / "postgres" / "data").stat().st_mode) == 0o700


def test_the_root_token_is_revoked_and_forgotten(stack: TestStack) -> None:
    assert set(json.loads((stack.home / "openbao" / "root.json").read_text())) == {"recovery_key"}
    said = openbao.health(stack.state)
    assert (said["initialized"], said["sealed"]) == (True, False)
    assert "-dev" not in Path(f"/proc/{_pid(stack)}/cmdline").read_text()
    assert (stack.home / "openbao" / "audit.log").stat().st_size > 0


def _pid(stack: TestStack) -> int:
    return stack.control("openbao").pid


def test_a_changed_set_up_is_brought_in_without_a_kept_root_token(private_stack: TestStack) -> None:
    stack = _again(private_stack)
    stack.state.done["vault"] = "older"
    stack.state.save(stack.layout)
    start_core(stack)
    assert openbao.is_set_up(stack.layout, stack.state)
    login = private_stack.settings.vault_login("worker")
    vault = hvac.Client(private_stack.vault_url)
    vault.auth.approle.login(login.role_id, login.secret_id.get_secret_value())
    with pytest.raises(hvac.exceptions.VaultError, match="unsupported"):
        vault.sys.start_root_token_generation()
    assert set(json.loads((stack.layout.openbao / "root.json").read_text())) == {"recovery_key"}


def test_a_start_killed_before_the_keys_were_kept_begins_anew(private_stack: TestStack) -> None:
    """As if kill -9 had come between the vault's initialisation and the writing of its keys."""
    private_stack.servers.stop()
    (private_stack.home / "openbao" / "root.json").unlink()
    stack = _again(private_stack)
    stack.state.done.pop("vault")
    stack.state.save(stack.layout)
    start_core(stack)
    login = private_stack.settings.vault_login("web")
    hvac.Client(private_stack.vault_url).auth.approle.login(login.role_id, login.secret_id.get_secret_value())


@pytest.mark.parametrize("name", ["postgres", "valkey", "openbao"])
def test_a_killed_server_is_back_and_ready(private_stack: TestStack, name: str) -> None:
    control = private_stack.control(name)
    before = control.pid
    with psycopg.connect(private_stack.superuser_dsn, autocommit=True) as link:
        link.execute("CREATE TABLE kept AS SELECT 42 AS x")
    control.kill()
    until(lambda: _pid_or_none(private_stack, name) not in (None, before))
    control.start()
    until(lambda: _answers(private_stack.dsn("web")))
    with psycopg.connect(private_stack.superuser_dsn) as link:
        assert link.execute("SELECT x FROM kept").fetchone() == (42,)
    assert openbao.ready(private_stack.state), "the static seal opened by itself"


def _pid_or_none(stack: TestStack, name: str) -> int | None:
    try:
        return stack.control(name).pid
    except RuntimeError:
        return None


def test_everything_killed_at_once_stops_nothing(private_stack: TestStack) -> None:
    """Supervisor, watchdog, and every server: the postmaster's file and the sockets stay behind."""
    home = private_stack.home
    kill_all(home)
    assert (home / "postgres" / "data" / "postmaster.pid").exists()
    start_core(_again(private_stack))
    assert _answers(private_stack.dsn("web"))
    assert private_stack.vault_url == openbao.url(_again(private_stack).state), "ports are kept"
