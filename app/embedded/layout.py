"""The folders and files of OPSLOOM_HOME, and how they are written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PRIVATE = 0o700
PASSABLE = 0o711  # another user may walk through, and see nothing

# The kernel takes 107 bytes, and PostgreSQL puts a lock file beside its own.
_LONGEST_SOCKET = 100


def fits(socket: Path) -> bool:
    """Whether a server can listen on a socket file of this name."""
    return len(os.fsencode(socket)) <= _LONGEST_SOCKET


@dataclass(frozen=True)
class Layout:
    """Where each part of the embedded stack keeps its things."""

    home: Path

    @property
    def state_file(self) -> Path:
        """Ports and passwords of the embedded stack."""
        return self.home / "embedded.json"

    @property
    def settings_file(self) -> Path:
        return self.home / "settings.json"

    @property
    def demo_accounts_file(self) -> Path:
        """E-mail, password and TOTP secret of the demo accounts, for `opsloom otp`."""
        return self.home / "demo-accounts.json"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Locks and the supervisor's socket: gone or worthless once nothing runs."""
        return self.home / "run"

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def pgdata(self) -> Path:
        return self.postgres / "data"

    @property
    def valkey(self) -> Path:
        return self.home / "valkey"

    @property
    def openbao(self) -> Path:
        return self.home / "openbao"

    @property
    def tls(self) -> Path:
        return self.home / "tls"

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def simulators(self) -> Path:
        return self.home / "simulators"

    @property
    def web(self) -> Path:
        return self.home / "web"

    def create(self, *, passable: bool) -> None:
        """Make the folders. ``passable``: another user must be able to walk through the top one."""
        self._make_home(passable=passable)
        for folder in (self.logs, self.run, self.valkey, self.openbao, self.tls, self.keys, self.simulators, self.web):
            folder.mkdir(exist_ok=True)
            folder.chmod(PRIVATE)
        self.postgres.mkdir(exist_ok=True)
        self.postgres.chmod(PASSABLE if passable else PRIVATE)

    def _make_home(self, *, passable: bool) -> None:
        """Folders above it that are made here are passable too, whatever the caller's umask says."""
        missing = [folder for folder in (self.home, *self.home.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir()
            folder.chmod(PASSABLE)
        self.home.chmod(PASSABLE if passable else PRIVATE)
