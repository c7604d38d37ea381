"""What every command has in common: exit status, errors, and how little it loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from app.cli import GROUPS, main
from app.core.home import PROJECT
from app.core.settings import get_settings


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing was ever started."""
    for name in [name for name in os.environ if name.startswith("OPSLOOM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPSLOOM_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    return tmp_path / "home"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["opsloom", *arguments])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        get_settings.cache_clear()
    return 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("status", "--no-such-option"),
        ("otp",),
        ("otp", "--list", "a@b.example"),
        *(
            ("run", "settle", str(UUID(int=1)), "--client", "c", "--step", "s", "--outcome", *said)
            for said in (["perhaps"], ["done", "--output", "[]"], ["done", "--output", "{"])
        ),
    ],
)
def test_bad_usage_is_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "Usage" in told.err


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPSLOOM_PORT", "many")
    assert run(monkeypatch, "status") == 1
    assert "OPSLOOM_PORT" in capsys.readouterr().err
    assert run(monkeypatch, "status", "--json") == 1
    problem = json.loads(capsys.readouterr().out)
    assert problem["errors"][0]["field"] == "OPSLOOM_PORT"


def test_status_where_nothing_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "status", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ready"] is False
    assert {part["state"] for part in told["parts"].values()} == {"down"}


def test_down_where_nothing_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], empty_home: Path
) -> None:
    assert run(monkeypatch, "down", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"stopped": False}
    assert not empty_home.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("otp", "a@b.example"),
        ("sandbox", "dump", "m365"),
        ("workflow", "list", "--client", "contoso"),
        ("run", "list", "--client", "contoso"),
        ("audit", "export", "--client", "contoso"),
        ("prove", "isolation"),
        ("migrate",),
    ],
)
def test_what_only_the_owner_of_a_stack_may_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *arguments) == 1
    assert "make up" in capsys.readouterr().err


def test_help_lists_every_group_and_loads_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--help") == 0
    told = capsys.readouterr().out
    assert all(name in told for name in (*GROUPS, "up", "down", "status", "migrate", "worker", "scheduler", "otp"))


def test_the_command_itself_loads_nothing_heavy() -> None:
    heavy = "sqlalchemy, reflex, fastapi, networkx, boto3, msgraph, hvac, redis"
    code = f"import sys, app.cli; print([n for n in {heavy.split(', ')!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
