"""The servers behind the fixtures ``stack`` and ``private_stack``; tests/conftest.py says what they give."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from app.core.settings import Role, Settings, get_settings
from app.data import migrate
from app.data.roles import OWNER, ensure_roles
from app.embedded import postgres, valkey
from app.embedded.configuration import settings_values
from app.embedded.control import Supervisor
from app.embedded.core import Stack, login_passwords, start_core
from app.embedded.layout import Layout
from app.embedded.processes import alive, belonging, sweep
from app.embedded.progress import Progress
from app.embedded.state import State

TEMPLATE = "opsloom_template"
PREFIX = "opsloom-tests-"  # of a session's home; its process id follows


class Servers:
    """The servers in one home. Every process of a test session makes its own object for the same home."""

    def __init__(self, home: Path) -> None:
        self.layout = Layout(home)

    def start(self) -> None:
        """Have them running, and a migrated template database. The first caller does it, the others wait."""
        owner = int(os.environ.get("OPSLOOM_TEST_OWNER", os.getpid()))
        with self._locked():
            stack = Stack.open(self.layout, Progress(quiet=True), owner=owner)
            start_core(stack)
            if "template" not in stack.state.done:
                _make_template(stack)

    @contextmanager
    def database(self, name: str) -> Iterator[TestStack]:
        """A database of that name, cloned from the template, with the Valkey database of the same number."""
        with self._locked():
            state = State.load(self.layout)
            number = len([key for key in state.done if key.startswith("redis:")]) % valkey.DATABASES
            state.done[f"redis:{name}"] = str(number)
            state.save(self.layout)
            database = f"opsloom_{name}"
            _clone(state, database)
        yield TestStack(self, state, database, number)
        _drop(state, database)

    def stop(self) -> None:
        supervisor = Supervisor(self.layout)
        if supervisor.running():
            supervisor.shut_down()
        sweep(self.layout.home)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.layout.home.mkdir(parents=True, exist_ok=True)
        with (self.layout.home / "tests.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _make_template(stack: Stack) -> None:
    ensure_roles(_superuser(stack.state, "postgres"), login_passwords(stack), database=TEMPLATE)
    if migrate.head():
        migrate.upgrade(postgres.dsn(stack.state, "opsloom_migrate", TEMPLATE))
    stack.state.done["template"] = "1"
    stack.state.save(stack.layout)


def _superuser(state: State, database: str) -> str:
    return postgres.dsn(state, postgres.SUPERUSER, database)


def _clone(state: State, database: str) -> None:
    _drop(state, database)
    with psycopg.connect(_superuser(state, "postgres"), autocommit=True) as link:
        link.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                sql.Identifier(database), sql.Identifier(TEMPLATE), sql.Identifier(OWNER)
            )
        )
    ensure_roles(_superuser(state, "postgres"), {}, database=database)


def _drop(state: State, database: str) -> None:
    with psycopg.connect(_superuser(state, "postgres"), autocommit=True) as link:
        link.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


@dataclass(frozen=True)
class TestStack:
    """One database of the running servers, and the addresses that go with it."""

    __test__ = False

    servers: Servers
    state: State
    database: str
    redis_number: int

    @property
    def home(self) -> Path:
        return self.servers.layout.home

    def dsn(self, role: Role) -> str:
        """PostgreSQL as the login role of a process."""
        return str(self.values()[f"database_url_{role}"])

    @property
    def superuser_dsn(self) -> str:
        return _superuser(self.state, self.database)

    @property
    def redis_url(self) -> str:
        return str(self.values()["redis_url"])

    @property
    def vault_url(self) -> str:
        return str(self.values()["vault_url"])

    def values(self) -> dict[str, Any]:
        """The settings as JSON values: what a process of the product finds in settings.json."""
        return settings_values(
            self.servers.layout, self.state, database=self.database, redis_database=self.redis_number
        )

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, **self.values())

    def environment(self) -> dict[str, str]:
        """The settings as OPSLOOM_* variables, for a process that a test starts."""
        named = {f"OPSLOOM_{key.upper()}": str(value) for key, value in self.values().items()}
        return {**named, "OPSLOOM_HOME": str(self.home)}

    @contextmanager
    def as_process_settings(self) -> Iterator[None]:
        """``get_settings()`` of this process gives this stack's settings meanwhile."""
        former = {name: os.environ.get(name) for name in self.environment()}
        os.environ.update(self.environment())
        get_settings.cache_clear()
        try:
            yield
        finally:
            for name, value in former.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            get_settings.cache_clear()

    @contextmanager
    def clone(self) -> Iterator[TestStack]:
        """One more migrated, empty database."""
        with self.servers.database(f"clone_{uuid.uuid4().hex[:8]}") as other:
            yield other

    def control(self, name: str) -> Control:
        """A hold on one of the servers."""
        return Control(self.servers, name)


@dataclass(frozen=True)
class Control:
    """Stops, starts and kills one server of a private stack."""

    servers: Servers
    name: str

    @property
    def pid(self) -> int:
        """Its process id. Raises RuntimeError where it does not run."""
        pid = Supervisor(self.servers.layout).status().get(self.name, {}).get("pid")
        if pid is None:
            raise RuntimeError(f"{self.name} does not run")
        return int(pid)

    def stop(self) -> None:
        """Stop it and keep it stopped."""
        Supervisor(self.servers.layout).stop(self.name)

    def start(self) -> None:
        """Have it running and ready again."""
        start_core(Stack.open(self.servers.layout, Progress(quiet=True), owner=os.getpid()))

    def kill(self) -> None:
        """kill -9. The supervisor starts it again after a second or so."""
        os.kill(self.pid, 9)


def kill_all(home: Path) -> None:
    """kill -9 of every process of the stack in ``home``, and wait until none is left."""
    deadline = time.monotonic() + 20
    while found := belonging(home):
        assert time.monotonic() < deadline, found
        for pid in found:
            with contextlib.suppress(ProcessLookupError):  # it died with its parent
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def remove_left_homes() -> None:
    """Remove the homes of sessions that were killed; their servers have ended by themselves."""
    for home in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = home.name.removeprefix(PREFIX).split("-")[0]
        if number.isdigit() and not alive(int(number)) and home.stat().st_uid == os.getuid():
            sweep(home)
            shutil.rmtree(home, ignore_errors=True)
