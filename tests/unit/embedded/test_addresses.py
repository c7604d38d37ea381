"""How the processes of the product reach the servers of the embedded stack."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from psycopg.conninfo import conninfo_to_dict
from redis import Redis, UnixDomainSocketConnection

from app.embedded import postgres, valkey
from app.embedded.configuration import settings_values
from app.embedded.layout import Layout, fits
from app.embedded.state import State


@pytest.fixture
def layout() -> Iterator[Layout]:
    """A home with a short path: pytest's own may be too long for a socket."""
    with TemporaryDirectory() as folder:
        found = Layout(Path(folder) / "a home")
        for each in (found.postgres / "sockets", found.valkey):
            each.mkdir(parents=True)
        yield found


@pytest.fixture
def state() -> State:
    return State(ports={"postgres": 5433, "valkey": 6380, "openbao": 8201})


def test_the_processes_go_by_socket_files_where_the_servers_have_them(layout: Layout, state: State) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as database, closing(socket.socket(socket.AF_UNIX)) as cache:
        database.bind(str(layout.postgres / "sockets" / ".s.PGSQL.5433"))
        cache.bind(str(layout.valkey / "valkey.sock"))
        found = settings_values(layout, state, redis_database=3)
    to = conninfo_to_dict(found["database_url_worker"])
    assert (to["host"], to["port"]) == (str(layout.postgres / "sockets"), "5433")
    assert (to["user"], to["password"], to["dbname"]) == (
        "opsloom_worker",
        state.password("opsloom_worker"),
        "opsloom",
    )
    pool = Redis.from_url(found["redis_url"]).connection_pool
    assert pool.connection_class is UnixDomainSocketConnection
    expected = {"path": str(layout.valkey / "valkey.sock"), "db": 3, "password": state.password("valkey")}
    assert {name: pool.connection_kwargs[name] for name in expected} == expected


def test_a_server_without_a_socket_file_is_reached_over_loopback(layout: Layout, state: State) -> None:
    found = settings_values(layout, state)
    assert found["database_url_web"] == postgres.dsn(state, "opsloom_web")
    assert found["redis_url"] == valkey.url(state)


def test_no_server_is_told_to_listen_on_a_name_that_the_kernel_refuses(layout: Layout, state: State) -> None:
    deep = Layout(layout.home / ("d" * 90))
    deep.valkey.mkdir(parents=True)
    assert not fits(deep.valkey / "valkey.sock")
    valkey.prepare(deep, state, running=True)
    assert "unixsocket" not in (deep.valkey / "valkey.conf").read_text()
    valkey.prepare(layout, state, running=True)
    socket_file = layout.valkey / "valkey.sock"
    assert f'unixsocket "{socket_file}"' in (layout.valkey / "valkey.conf").read_text()
