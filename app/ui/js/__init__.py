"""The browser's half of the shared components: JavaScript and JSX modules, linked into the front end's build.

They stand in one folder so that they can import each other by a relative path.
"""

from __future__ import annotations

from pathlib import Path

import reflex as rx

from app.ui.linking import linked

FOLDER = Path(__file__).parent
_MODULES = linked(FOLDER, lambda name: rx.asset(name, shared=True))


def module(name: str) -> str:
    """What a component's ``library`` is set to, to come from the file ``name`` of this folder. Raises KeyError."""
    return _MODULES[name].importable_path
