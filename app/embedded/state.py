"""What the embedded stack remembers between starts: the ports it chose and the passwords it made."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Self

from app.core.errors import Unavailable
from app.core.files import write_json
from app.embedded.layout import Layout

LOOPBACK = "127.0.0.1"
_PASSWORD_BYTES = 24


@dataclass
class State:
    """``ports`` and ``passwords`` by name, ``done`` the names of one-time steps that are finished."""

    ports: dict[str, int] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, layout: Layout) -> Self:
        """What was remembered, or an empty state. Raises Unavailable where the file cannot be understood."""
        try:
            return cls(**json.loads(layout.state_file.read_text()))
        except FileNotFoundError:
            return cls()
        except (ValueError, TypeError) as error:
            raise Unavailable(
                f"{layout.state_file} is damaged ({error}). Restore it, or remove {layout.home}."
            ) from error

    def save(self, layout: Layout) -> None:
        write_json(layout.state_file, asdict(self))

    def password(self, name: str) -> str:
        """The password of that name, made at the first call. It is safe in an address and in a configuration file."""
        return self.passwords.setdefault(name, secrets.token_urlsafe(_PASSWORD_BYTES))

    def port(self, name: str, *, running: bool = False) -> int:
        """The port of that name. It changes only when the part is not ``running`` and someone else took it."""
        known = self.ports.get(name)
        if known is None or (not running and not is_free(known)):
            self.ports[name] = free_port(avoid=self.ports.values())
        return self.ports[name]


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(*, avoid: Iterable[int] = ()) -> int:
    """A loopback port that nobody listens on and that is not in ``avoid``."""
    taken = set(avoid)
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port
