"""Where a setting comes from, and that its page in the documentation is complete."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.core.home import PROJECT
from app.core.settings import Settings


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test of this process may have put the servers' addresses there."""
    for name in [name for name in os.environ if name.startswith("OPSLOOM_")]:
        monkeypatch.delenv(name)


def _file(home: Path, **values: object) -> None:
    (home / "settings.json").write_text(json.dumps(values))


def test_environment_before_file_before_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(home=tmp_path).port == 3000
    _file(tmp_path, port=3100, workers=5)
    assert Settings(home=tmp_path).port == 3100
    monkeypatch.setenv("OPSLOOM_PORT", "3200")
    found = Settings(home=tmp_path)
    assert (found.port, found.workers) == (3200, 5)


def test_the_home_named_in_the_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSLOOM_HOME", str(tmp_path))
    _file(tmp_path, vault_url="http://vault")
    assert Settings().home == tmp_path
    assert Settings().vault_url == "http://vault"


def test_addresses_follow_the_port(tmp_path: Path) -> None:
    found = Settings(home=tmp_path, port=3100)
    assert found.base_url == "http://localhost:3100"
    assert found.cors_origins == ["http://localhost:3100"]
    public = Settings(home=tmp_path, base_url="https://opsloom.example")
    assert public.cors_origins == ["https://opsloom.example"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", "many"), ("port", 0), ("port", 70000), ("log_level", "LOUD"), ("trusted_proxies", ["10.0.0.1/8"])],
)
def test_a_wrong_value_is_named(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(home=tmp_path, **{name: value})
    assert [each["loc"] for each in caught.value.errors()] == [(name,)]


def test_passwords_stay_out_of_the_representation(tmp_path: Path) -> None:
    found = Settings(home=tmp_path, database_url_web="postgresql://a:hunter2@h/d", redis_url="redis://:hunter2@h")
    assert "hunter2" not in repr(found)
    assert "hunter2" not in str(found)


def test_what_is_not_set_says_which_variable(tmp_path: Path) -> None:
    found = Settings(home=tmp_path)
    with pytest.raises(ValueError, match="OPSLOOM_DATABASE_URL_WORKER"):
        found.database_url("worker")
    with pytest.raises(ValueError, match="OPSLOOM_VAULT_CREDENTIALS_WEB"):
        found.vault_login("web")


def test_a_vault_login_is_read_and_hidden(tmp_path: Path) -> None:
    path = tmp_path / "web.json"
    path.write_text('{"role_id": "r", "secret_id": "hunter2"}')
    login = Settings(home=tmp_path, vault_credentials_web=path).vault_login("web")
    assert login.secret_id.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(login)


def test_every_setting_is_documented_with_its_default() -> None:
    text = (PROJECT / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \|([^|]*)\|", text, re.MULTILINE))
    assert list(rows) == list(Settings.model_fields), "docs/settings.md lists each setting once, in the code's order"
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, int | str) and field.default != "" and name != "base_url":
            default = str(field.default).lower() if isinstance(field.default, bool) else field.default
            assert f"`{default}`" in rows[name], name
