"""The builder's React component, as Reflex sees it."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.utils.imports import ImportVar
from reflex.vars import VarData
from reflex_components_lucide.icon import LUCIDE_ICON_LIST, LUCIDE_LIBRARY

from app.builder.js import module
from app.engine.steps.registry import catalogue

_ASKED: Any = rx.event.passthrough_event_spec(dict)


def step_icons() -> rx.Var[dict[str, Any]]:
    """The icons that step types name, by name: only these are shipped, and a new step type needs no other file."""
    known = {name.replace("_", "-") for name in LUCIDE_ICON_LIST}
    names = sorted({info.icon for info in catalogue().values()} & known)
    tags = {name: "Step" + "".join(part.title() for part in name.split("-")) for name in names}
    imports = [
        ImportVar(tag=tag, is_default=True, package_path=f"/dist/esm/icons/{name}.mjs") for name, tag in tags.items()
    ]
    inside = ", ".join(f'"{name}": {tag}' for name, tag in tags.items())
    return rx.Var(f"({{{inside}}})", _var_type=dict, _var_data=VarData(imports={LUCIDE_LIBRARY: imports}))


class Builder(rx.NoSSRComponent):
    """Header, canvas and panels. ``inbox`` holds numbered messages (``post.py``); each handler gets one object."""

    library = module("builder.jsx")
    tag = "Builder"
    lib_dependencies: list[str] = ["@xyflow/react@12.12.1", "@dagrejs/dagre@3.1.3", LUCIDE_LIBRARY]

    inbox: rx.Var[dict[str, Any]]
    icons: rx.Var[dict[str, Any]]
    on_received: rx.EventHandler[_ASKED]
    on_push: rx.EventHandler[_ASKED]
    on_choices: rx.EventHandler[_ASKED]
    on_save_version: rx.EventHandler[_ASKED]
    on_publish: rx.EventHandler[_ASKED]
    on_versions: rx.EventHandler[_ASKED]
    on_version: rx.EventHandler[_ASKED]
    on_start: rx.EventHandler[_ASKED]
    on_watch: rx.EventHandler[_ASKED]
    on_cancel: rx.EventHandler[_ASKED]
