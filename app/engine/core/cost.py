"""An upper bound of what an expression may cost on the data at hand, worked out before it runs.

The library stops after 10,000 loop steps and 32 levels, but ``['ab'].map(x, x + x).map(x, x + x)…`` doubles a value
with each word and takes all memory in thirty. A loop visits each element of its range once, and the size of what its
body makes grows at least linearly with the element: so the sum over all elements is at most the body's value on one
element as large as the whole range, plus its fixed part for each of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.engine.core.syntax import Call, Const, Fold, Ident, Items, Reference, Select, Tree, children, path_of

MAX_SIZE = 8_000_000
"""In units of about 8 bytes: 64 MB."""
MAX_WORK = 200_000_000
"""In units of about 10 ns: some 2 s, enough to filter and map a list of 5,000 users."""
_MAX_LOOP = 10_000
_BYTES = 8  # in a unit of size
_COPY = 5  # appending to a list copies it: work for each element copied


@dataclass(frozen=True, slots=True)
class Cost:
    """Bounds of a value's ``size``, its ``count`` of elements, and the ``work`` to make it."""

    size: float
    count: float
    work: float


Sizes = Callable[[Reference], Cost]
_NOTHING = Cost(0, 0, 0)


def bound(tree: Tree, sizes: Sizes) -> Cost:
    """What evaluating ``tree`` costs at most; ``sizes`` gives the size of what it refers to."""
    return _bound(tree, sizes, {})


def can_grow(tree: Tree) -> bool:
    """Whether the tree holds anything that may make much out of little, so that its cost is worth a look."""
    if isinstance(tree, Fold) or (isinstance(tree, Call) and tree.function in _GROWING):
        return True
    return any(can_grow(child) for child in children(tree))


_MULTIPLY = frozenset({"replace", "join", "format"})
_GROWING = _MULTIPLY | {"split", "matches"}
_PATTERN = 20  # compiling a pattern takes time with the square of its length: 0.3 s for 10,000 characters
_PRECISION = 128  # "%.1000f" writes a thousand digits


def too_much(cost: Cost) -> bool:
    return cost.size > MAX_SIZE or cost.work > MAX_WORK


def measure(value: Any) -> Cost:
    """The size of a JSON value."""
    return Cost(_size(value), len(value) if isinstance(value, list | tuple | Mapping) else 1, 1)


def _size(value: Any) -> float:
    if isinstance(value, str):
        return 1 + len(value) / 8
    if isinstance(value, Mapping):
        return 1 + sum(1 + len(str(key)) / 8 + _size(item) for key, item in value.items())
    return 1 + sum(_size(item) for item in value) if isinstance(value, list | tuple) else 1


def _bound(tree: Tree, sizes: Sizes, local: Mapping[str, Cost]) -> Cost:
    path = path_of(tree)
    if path is not None:
        inside = local.get(path[0])
        return sizes(path) if inside is None else Cost(inside.size, inside.count, 1 + len(path[1]))
    match tree:
        case Const():
            return Cost(1 + (len(tree.value) / 8 if isinstance(tree.value, str) else 0), 1, 1)
        case Select():
            operand = _bound(tree.operand, sizes, local)
            return Cost(operand.size, operand.size, operand.work + 1)
        case Items():
            parts = [_bound(part, sizes, local) for part in tree.parts]
            return Cost(1 + sum(p.size for p in parts), len(parts), 1 + sum(p.work for p in parts))
        case Call():
            return _call(tree, [_bound(arg, sizes, local) for arg in tree.args])
        case Fold():
            return _fold(tree, sizes, local)
        case Ident():  # pragma: no cover - path_of has taken it
            return _NOTHING


def _call(tree: Call, args: list[Cost]) -> Cost:
    size = sum(arg.size for arg in args)
    work = 1 + sum(arg.work for arg in args)
    if tree.function == "_[_]":
        return Cost(args[0].size, args[0].size, work)
    if tree.function == "_?_:_":
        return Cost(max(a.size for a in args), max(a.count for a in args), work)
    if tree.function == "_+_":
        return Cost(size, sum(arg.count for arg in args), work + size)
    if tree.function == "matches":
        pattern = args[-1].size
        return Cost(1, 1, work + _PATTERN * pattern * pattern + 4 * pattern * args[0].size)
    if tree.function in _MULTIPLY:
        # At worst the last argument comes in for each letter, or between all items, of the first.
        other = args[-1].size if len(args) > 1 else 1
        grown = _BYTES * args[0].size * max(other, _PRECISION if tree.function == "format" else 1)
        return Cost(size + grown, 1, work + size + grown)
    if tree.function == "split":
        return Cost(_BYTES * args[0].size, _BYTES * args[0].size, work + _BYTES * size)
    # Any other function reads its arguments once and makes nothing larger than they are, or a short text.
    return Cost(size + 4, size + 4, work + size)


def _fold(tree: Fold, sizes: Sizes, local: Mapping[str, Cost]) -> Cost:
    over = _bound(tree.range, sizes, local)
    times = min(max(over.count, 0), _MAX_LOOP)
    init = _bound(tree.init, sizes, local)

    def body(element: float) -> tuple[Cost, Cost]:
        inner = dict(local) | {name: Cost(element, element, 1) for name in tree.variables} | {tree.accu: _NOTHING}
        return _bound(tree.step, sizes, inner), _bound(tree.condition, sizes, inner)

    (step, condition), (large_step, large_condition) = body(0), body(over.size)
    fixed, grown = step.work + condition.work, large_step.work + large_condition.work
    size = init.size + times * step.size + (large_step.size - step.size)
    count = init.count + times * max(step.count, 1)
    makes_list = isinstance(tree.init, Items) and tree.init.is_list
    copying = _COPY * times * times / 2 if makes_list else 0
    work = over.work + init.work + times * fixed + (grown - fixed) + copying
    result = _bound(tree.result, sizes, dict(local) | {tree.accu: Cost(size, count, 1)})
    return Cost(result.size, result.count, work + result.work)
