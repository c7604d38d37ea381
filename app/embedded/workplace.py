"""The folder that Reflex works from. It writes beside what it builds: lock files, links to assets, a .gitignore.

So it is given a folder of the home that looks like the project, and the project itself stays as it was checked out.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from app.core.home import PROJECT
from app.embedded.layout import Layout

LOCK = "reflex.lock"


def folder(layout: Layout) -> Path:
    """Where it is."""
    return layout.web / "work"


def prepare(layout: Layout) -> Path:
    """Have it as the project is now: its configuration, its assets, its locked packages. Gives the folder."""
    work = folder(layout)
    work.mkdir(exist_ok=True)
    shutil.copyfile(PROJECT / "rxconfig.py", work / "rxconfig.py")
    for name in ("assets", LOCK):
        shutil.rmtree(work / name, ignore_errors=True)
        shutil.copytree(PROJECT / name, work / name, ignore=shutil.ignore_patterns("external"))
    return work
