"""What a person may insert into a node's field: the tree that the expression picker shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.engine.core.catalogue import Catalogue, Words
from app.engine.core.checking import LOOP, RUN_SHAPE, Surroundings
from app.engine.core.document import Document
from app.engine.core.shapes import Shape
from app.engine.core.validation import upstream_of

MAX_DEPTH = 5
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


@dataclass(frozen=True)
class Insertable:
    """One entry. ``path`` is the expression to insert, ``type`` a JSON schema type or "any"; ``label`` is the field's
    or step's own name for people, where it has one; ``icon`` the step type's."""

    path: str
    name: str
    type: str
    label: Words | None = None
    icon: str | None = None
    nullable: bool = False
    children: tuple[Insertable, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "name": self.name,
            "type": self.type,
            "label": dict(self.label) if self.label else None,
            "icon": self.icon,
            "nullable": self.nullable,
            "children": [child.as_json() for child in self.children],
        }


def available(
    document: Document,
    catalogue: Catalogue,
    node: str,
    variables: Mapping[str, Any] | None = None,
    *,
    in_loop: bool = False,
) -> list[Insertable]:
    """What ``node``'s expressions may refer to: inputs, the steps before it (nearest first), the client's variables,
    the run, and the loop's item. An unknown node sees everything but steps."""
    around = Surroundings(document, catalogue, upstream_of(document), variables, LOOP if in_loop else frozenset())
    found = [_tree("inputs", "inputs", around.inputs)]
    found.extend(_steps(around, node))
    found.append(_tree("client", "client", around.client))
    found.append(_tree("run", "run", RUN_SHAPE))
    if in_loop:
        found += [Insertable("item", "item", "any"), Insertable("index", "index", "integer")]
    return [entry for entry in found if entry.children or entry.name in LOOP]


def _steps(around: Surroundings, node: str) -> Iterator[Insertable]:
    if node not in around.nodes:
        return
    before = [name for name in around.nodes if name != node and around.upstream(name, node)]
    depth = {name: sum(bool(around.upstream(other, name)) for other in before) for name in before}
    for name in sorted(before, key=lambda each: -depth[each]):
        drawn = around.nodes[name]
        info = around.catalogue.get(drawn.type)
        label = {"en": drawn.name, "fr": drawn.name} if drawn.name else (info.title if info else None)
        tree = _tree(f"steps.{name}.output", name, around.outputs[name])
        yield Insertable(tree.path, name, tree.type, label, info.icon if info else None, False, tree.children)


def _tree(path: str, name: str, found: Shape, depth: int = 0) -> Insertable:
    children: tuple[Insertable, ...] = ()
    if depth < MAX_DEPTH and found.kind == "object":
        children = tuple(_tree(_path(path, field), field, inner, depth + 1) for field, inner in found.fields.items())
    elif depth < MAX_DEPTH and found.kind == "array" and found.items.kind == "object":
        # The first item stands for all: a person turns it into a map or a filter from there.
        inner = found.items
        children = tuple(_tree(_path(f"{path}[0]", f), f, i, depth + 1) for f, i in inner.fields.items())
    return Insertable(path, name, found.kind, found.title, None, found.nullable, children)


def _path(path: str, field: str) -> str:
    if _NAME.match(field):
        return f"{path}.{field}"
    quoted = field.replace("\\", "\\\\").replace("'", "\\'")
    return f"{path}['{quoted}']"
