"""The small shared components, written in JSX and used from pages."""

from __future__ import annotations

from typing import Any

import reflex as rx

from app.ui.js import module

# The version that Reflex itself uses, so that there is only one.
LUCIDE = "lucide-react@1.26.0"


class StateBadge(rx.Component):
    """A state as word, icon and colour; ``state`` is its code."""

    library = module("badges.jsx")
    tag = "StateBadge"
    state: rx.Var[str]
    plain: rx.Var[bool]


class Tag(rx.Component):
    """A few words on a tint."""

    library = module("badges.jsx")
    tag = "Tag"
    colour: rx.Var[str]
    icon: rx.Var[str]


class Icon(rx.Component):
    """An icon by its name in ``js/icons.jsx``; decoration beside words."""

    library = module("icons.jsx")
    tag = "Icon"
    lib_dependencies: list[str] = [LUCIDE]
    name: rx.Var[str]
    size: rx.Var[int]


class Ago(rx.Component):
    """How long ago a moment (ISO 8601) was, the exact time on hover."""

    library = module("time.jsx")
    tag = "Ago"
    at: rx.Var[str]


class Lasting(rx.Component):
    """How long something took, or has taken so far while ``end`` is empty."""

    library = module("time.jsx")
    tag = "Lasting"
    start: rx.Var[str]
    end: rx.Var[str]


class Empty(rx.Component):
    """What an empty place says, with one thing to do."""

    library = module("feedback.jsx")
    tag = "Empty"
    icon: rx.Var[str]
    title: rx.Var[str]
    help: rx.Var[str]
    action: rx.Var[rx.Component]


class Skeleton(rx.Component):
    """Grey bars in the shape of what is coming."""

    library = module("feedback.jsx")
    tag = "Skeleton"
    rows: rx.Var[int]


state_badge = StateBadge.create
tag = Tag.create
icon = Icon.create
ago = Ago.create
lasting = Lasting.create
empty = Empty.create
skeleton = Skeleton.create


def button(
    label: rx.Var[str], *, icon_name: str = "", kind: str = "", small: bool = False, **props: Any
) -> rx.Component:
    """A button with words and, where it helps, an icon. ``kind`` is ``primary``, ``danger``, ``quiet`` or nothing."""
    attrs = {"data-kind": kind, "data-size": "small" if small else ""} | props.pop("custom_attrs", {})
    face = [icon(name=icon_name, size=14)] if icon_name else []
    return rx.el.button(
        *face, label, type=props.pop("type", "button"), class_name="os-button", custom_attrs=attrs, **props
    )


def link_button(label: rx.Var[str], *, href: Any, icon_name: str = "", kind: str = "") -> rx.Component:
    """A link that looks like a button: for going somewhere, where a button does something."""
    face = [icon(name=icon_name, size=14)] if icon_name else []
    return rx.link(*face, label, href=href, class_name="os-button", custom_attrs={"data-kind": kind}, underline="none")


def callout(*children: Any, colour: Any = "grey", icon_name: str = "info", **props: Any) -> rx.Component:
    """A few lines that must be seen."""
    return rx.el.div(
        icon(name=icon_name),
        rx.el.div(*children),
        class_name="os-callout",
        custom_attrs={"data-colour": colour},
        **props,
    )


def panel(*children: Any, title: Any = None, actions: tuple[Any, ...] = (), flush: bool = False) -> rx.Component:
    """A bordered part of a page with a title; ``flush`` where its content has its own padding."""
    head = rx.el.div(rx.el.h2(title, font_size="inherit"), *actions, class_name="os-panel-head")
    body = rx.el.div(*children, class_name="" if flush else "os-panel-body")
    return rx.el.section(*([head] if title is not None else []), body, class_name="os-panel")
