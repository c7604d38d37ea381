"""What a process says of itself: where it runs, and which code."""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from app.core.home import PROJECT

_SOURCES = ("app", "connectors")


def process_name() -> str:
    """Host and process."""
    return f"{socket.gethostname()}-{os.getpid()}"


@cache
def code_version() -> str:
    """The release and a short digest of the Python sources, as ``0.1.0+3f9c2d1``, as they were when first asked.

    Two processes that say the same run the same code.
    """
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((PROJECT / folder).rglob("*.py")):
            digest.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes() + b"\0")
    try:
        release = version("opsloom")
    except PackageNotFoundError:
        release = "0"
    return f"{release}+{digest.hexdigest()[:7]}"
