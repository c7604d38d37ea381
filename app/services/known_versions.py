"""Versions that were read already. A version never changes, so what it was read and compiled to is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from app.engine.core.document import Document, parse_document
from app.engine.core.graph import Graph, compile_graph
from app.engine.steps.registry import catalogue

# A larger document is read at every use: what is kept must not fill the memory.
_MOST_NODES_KEPT = 500


@dataclass(frozen=True)
class Version:
    """A version; its numbers stand for its content, the document as JSON."""

    client_id: UUID
    workflow_id: UUID
    number: int
    content: dict[str, Any] = field(compare=False, repr=False)

    @property
    def is_kept(self) -> bool:
        """Whether it is small enough to be kept."""
        return len(self.content.get("nodes", ())) <= _MOST_NODES_KEPT

    def document(self) -> Document:
        """The document. Raises Invalid where it cannot be read."""
        return _parsed(self) if self.is_kept else parse_document(self.content)

    def graph(self) -> Graph:
        """The document compiled. Raises Invalid where it cannot be."""
        return _compiled(self) if self.is_kept else compile_graph(self.document(), catalogue())


@lru_cache(maxsize=128)
def _parsed(version: Version) -> Document:
    return parse_document(version.content)


@lru_cache(maxsize=128)
def _compiled(version: Version) -> Graph:
    return compile_graph(version.document(), catalogue())
