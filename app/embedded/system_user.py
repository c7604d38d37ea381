"""The user that PostgreSQL runs as when the caller is root, since PostgreSQL refuses to be root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess

NAME = "opsloom"
_FALLBACK = "nobody"


def service_user() -> str | None:
    """None for an ordinary user. For root: the system user ``opsloom``, made at the first call.

    Where no user can be made (a read-only /etc, no useradd), ``nobody`` serves.
    """
    if os.geteuid() != 0:
        return None
    if _exists(NAME) or _create(NAME):
        return NAME
    return _FALLBACK


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _create(name: str) -> bool:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return False
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command = [useradd, *options, "--shell", "/usr/sbin/nologin", name]
    subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - fixed arguments
    return _exists(name)
