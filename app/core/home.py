"""Where the data of this installation lives: OPSLOOM_HOME."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SHARED_STATE = Path("/var/lib/opsloom")


def passable(folder: Path) -> bool:
    """Whether any user may walk through ``folder`` and each folder above it."""
    return all(step.stat().st_mode & stat.S_IXOTH for step in (folder, *folder.parents))


def default_home(project: Path = PROJECT, *, as_root: bool | None = None) -> Path:
    """The folder used where OPSLOOM_HOME is not set.

    It is ``.opsloom`` in the project. Root is the exception: PostgreSQL refuses to run as root, so it runs as a system
    user, and that user cannot walk through a closed folder such as /root; then it is a folder under /var/lib/opsloom
    whose name is derived from the project's path, so that two projects do not share one.
    """
    root = os.geteuid() == 0 if as_root is None else as_root
    if root and not passable(project):
        return SHARED_STATE / hashlib.sha256(str(project).encode()).hexdigest()[:12]
    return project / ".opsloom"


def home() -> Path:
    """OPSLOOM_HOME as an absolute path, or the default."""
    named = os.environ.get("OPSLOOM_HOME")
    return Path(named).expanduser().resolve() if named else default_home()
