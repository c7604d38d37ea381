"""The browser's half of the builder: React components and plain modules, linked into the front end's build."""

from __future__ import annotations

from pathlib import Path

import reflex as rx

from app.ui.linking import linked

_MODULES = linked(Path(__file__).parent, lambda name: rx.asset(name, shared=True))


def module(name: str) -> str:
    """What a component's ``library`` is set to, to come from the file ``name`` of this folder."""
    return _MODULES[name].importable_path
