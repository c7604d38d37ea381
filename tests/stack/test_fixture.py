"""The fixture itself: separate databases, the right roles, a vault that opens one client only."""

from __future__ import annotations

import hvac
import psycopg
import pytest
import redis

from app.core.ids import new_id
from app.core.settings import get_settings
from tests.servers import TestStack


@pytest.mark.parametrize("role", ["web", "worker", "scheduler", "migrate"])
def test_each_process_signs_in_as_its_own_role(stack: TestStack, role: str) -> None:
    with psycopg.connect(stack.dsn(role)) as link:
        row = link.execute(
            "SELECT current_user::text, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row == (f"opsloom_{role}", False, False)


def test_a_wrong_password_is_refused(stack: TestStack) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(stack.dsn("web").replace(stack.state.password("opsloom_web"), "wrong"))
    wrong = stack.redis_url.replace(stack.state.password("valkey"), "wrong")
    with pytest.raises(redis.AuthenticationError), redis.Redis.from_url(wrong) as link:
        link.ping()


def test_clones_are_apart(stack: TestStack) -> None:
    with stack.clone() as other:
        assert other.database != stack.database
        assert other.redis_url != stack.redis_url
        with psycopg.connect(other.superuser_dsn, autocommit=True) as link:
            link.execute("CREATE TABLE only_here (x int)")
        with psycopg.connect(stack.superuser_dsn) as link:
            assert link.execute("SELECT to_regclass('public.only_here')").fetchone() == (None,)


def test_settings_are_the_process_settings(stack: TestStack) -> None:
    assert get_settings().database_url_web == stack.dsn("web")
    assert get_settings().redis_url == stack.redis_url


@pytest.mark.parametrize("process", ["web", "worker"])
def test_a_process_token_mints_and_reads_nothing(stack: TestStack, process: str) -> None:
    login = stack.settings.vault_login(process)  # type: ignore[arg-type]
    vault = hvac.Client(stack.vault_url)
    vault.auth.approle.login(login.role_id, login.secret_id.get_secret_value())
    for path in (f"opsloom/data/tenant/{new_id()}/platforms/m365/x", "sys/policies/acl", "sys/mounts"):
        with pytest.raises(hvac.exceptions.Forbidden):
            vault.read(path)
