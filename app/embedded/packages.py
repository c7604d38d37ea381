"""`make lock`, the front end's part: the packages that a build chose become the ones that every build takes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from app.core.home import PROJECT
from app.core.settings import get_settings
from app.embedded import web
from app.embedded.layout import Layout
from app.embedded.system_user import service_user
from app.embedded.workplace import LOCK, folder

_PACKAGES = "package.json"


def keep_lock(layout: Layout, project: Path = PROJECT) -> list[str]:
    """Bring the packages of the last build into the project's lock files. Gives the names of those that changed."""
    changed = []
    for made in sorted((folder(layout) / LOCK).iterdir()):
        text = _indented(made.read_text()) if made.name == _PACKAGES else made.read_text()
        target = project / LOCK / made.name
        if not target.exists() or target.read_text() != text:
            target.write_text(text)
            changed.append(made.name)
    return changed


def _indented(text: str) -> str:
    """The same packages as text that can be compared line by line: Reflex puts everything on one line."""
    found: dict[str, Any] = json.loads(text)
    ordered = {name: dict(sorted(each.items())) if isinstance(each, dict) else each for name, each in found.items()}
    return json.dumps(ordered, indent=2) + "\n"


def main() -> None:
    """Build the front end in OPSLOOM_HOME, then keep its packages."""
    settings = get_settings()
    layout = Layout(settings.home)
    layout.create(passable=service_user() is not None)
    web.build(layout, web.digest(settings))
    for name in keep_lock(layout):
        sys.stdout.write(f"  {LOCK}/{name} has changed\n")


if __name__ == "__main__":
    main()
