"""The one list of the interface: app/ui/js/table.jsx, with what it may be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import reflex as rx

from app.ui.i18n import catalogue
from app.ui.js import module

Kind = Literal[
    "text", "main", "mono", "number", "state", "time", "lasting", "code", "pick", "say", "changes", "tags", "client",
    "reason", "action", "target", "button", "diff", "linked_state", "titled",
]  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column: ``id`` names the row's field, ``title`` a text.

    ``target`` shows what an audit event is about; ``main`` shows the field as the row's link (``row["href"]``) with
    ``sub`` beside it; ``code`` shows the text ``prefix + value``; ``button`` shows ``{"icon", "key", "href"}`` as a
    link like a button, ``linked_state`` a ``{"state", "href"}``, ``titled`` a text with ``row[id + "_title"]`` on
    hover, ``diff`` a change with the first of its fields. ``narrow`` False leaves it out on a phone, ``hidden`` until
    somebody chooses it.
    """

    id: str
    title: str
    kind: Kind = "text"
    prefix: str = ""
    sub: str = ""
    width: str = ""
    align: str = ""
    sort: bool = True
    narrow: bool = True
    hidden: bool = False

    def __post_init__(self) -> None:
        if self.title not in catalogue():
            raise KeyError(f"no text has the key {self.title}")


def choice(name: str, title: str, options: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A filter chip ``name`` with options (value, text key)."""
    return {"id": name, "title": title, "options": [{"value": value, "title": key} for value, key in options]}


class DataTable(rx.Component):
    """``rows`` are dicts with ``id``, perhaps ``href``, and the columns' fields.

    ``on_filter`` gets all filters that are set. ``remote`` names the one among them that the search box fills in, so
    that the server looks through everything there is; without it the box looks through the rows that are there.
    """

    library = module("table.jsx")
    tag = "DataTable"
    lib_dependencies: list[str] = ["@tanstack/react-table@8.21.3"]

    name: rx.Var[str]
    columns: rx.Var[list[dict[str, Any]]]
    rows: rx.Var[list[dict[str, Any]]]
    loaded: rx.Var[bool]
    filters: rx.Var[list[dict[str, Any]]]
    active: rx.Var[dict[str, str]]
    has_more: rx.Var[bool]
    actions: rx.Var[list[dict[str, Any]]]
    csv: rx.Var[str]
    empty: rx.Var[dict[str, Any]]
    empty_action: rx.Var[rx.Component]
    searchable: rx.Var[bool]
    remote: rx.Var[str]

    on_filter: rx.EventHandler[lambda active: [active]]
    on_more: rx.EventHandler[rx.event.no_args_event_spec]
    on_action: rx.EventHandler[lambda action, ids: [action, ids]]
    on_open: rx.EventHandler[lambda row: [row]]


def data_table(name: str, columns: Sequence[Column], **props: Any) -> rx.Component:
    """The list ``name`` (its saved views are kept under that name) with these columns."""
    return DataTable.create(name=name, columns=[asdict(column) for column in columns], **props)
