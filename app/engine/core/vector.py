"""An immutable list whose items can be replaced cheaply.

A run of 10,000 steps makes 20,000 states; copying a dictionary for each would make the engine quadratic. Two levels of
tuples make one replacement cost a copy of about 64 + n/64 references.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
_BITS = 6
_WIDTH = 1 << _BITS
_MASK = _WIDTH - 1


@dataclass(frozen=True, slots=True)
class Vector(Generic[T]):
    """A fixed-length immutable sequence."""

    chunks: tuple[tuple[T, ...], ...]

    @classmethod
    def of(cls, items: Iterable[T]) -> Vector[T]:
        flat = tuple(items)
        return cls(tuple(flat[start : start + _WIDTH] for start in range(0, len(flat), _WIDTH)))

    def __getitem__(self, place: int) -> T:
        return self.chunks[place >> _BITS][place & _MASK]

    def __iter__(self) -> Iterator[T]:
        for chunk in self.chunks:
            yield from chunk

    def __len__(self) -> int:
        return (len(self.chunks) - 1) * _WIDTH + len(self.chunks[-1]) if self.chunks else 0

    def extended(self, items: Iterable[T]) -> Vector[T]:
        """A vector with ``items`` after its own; only the last chunk is copied."""
        whole = len(self) >> _BITS
        rest = self.chunks[whole] if whole < len(self.chunks) else ()
        return Vector(self.chunks[:whole] + Vector.of((*rest, *items)).chunks)

    def set(self, place: int, item: T) -> Vector[T]:
        """A vector with ``item`` at ``place``."""
        top = place >> _BITS
        chunk = list(self.chunks[top])
        chunk[place & _MASK] = item
        chunks = list(self.chunks)
        chunks[top] = tuple(chunk)
        return Vector(tuple(chunks))

    def set_many(self, items: Mapping[int, T]) -> Vector[T]:
        """A vector with several items replaced; each touched chunk is copied once."""
        touched: dict[int, list[T]] = {}
        for place, item in items.items():
            top = place >> _BITS
            chunk = touched.get(top)
            if chunk is None:
                chunk = touched[top] = list(self.chunks[top])
            chunk[place & _MASK] = item
        chunks = list(self.chunks)
        for top, chunk in touched.items():
            chunks[top] = tuple(chunk)
        return Vector(tuple(chunks))
