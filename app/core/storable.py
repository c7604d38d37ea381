"""What PostgreSQL takes as text: neither NUL nor half a surrogate pair, both of which JSON can hold.

A platform's answer may hold them all the same (a text that was cut off in the middle of an emoji is enough). What was
said is kept with U+FFFD in their place; what somebody asks for is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

REFUSED = "This holds a character that cannot be kept (NUL, or half of a surrogate pair)."
_LISTS = (list, tuple)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_STAND_IN = "\ufffd"


def is_storable(text: str) -> bool:
    """Whether ``text`` can be kept as it is."""
    return "\0" not in text if text.isascii() else _UNSTORABLE.search(text) is None


def storable_text(text: str) -> str:
    """``text`` as it can be kept."""
    if is_storable(text):
        return text
    # A pair of halves is one letter: UTF-16 puts it together, and shows a half that is left over as the stand-in.
    whole = text.replace("\0", _STAND_IN).encode("utf-16-le", "surrogatepass")
    return whole.decode("utf-16-le", "replace")


def storable(value: Any) -> Any:
    """``value`` as it can be kept: itself, where all of it can."""
    return value if _all_storable(value) else _kept(value)


def unstorable(value: Any) -> str | None:
    """The dotted path of the first text in ``value`` that cannot be kept (empty: the value itself); None where all can.

    The walk is as long as the value: bound that first.
    """
    return None if _all_storable(value) else next(_places(value, ()))


def _all_storable(value: Any) -> bool:
    layer = [value]
    while layer:
        each = layer.pop()
        if isinstance(each, str):
            if not is_storable(each):
                return False
        elif isinstance(each, _LISTS):
            layer.extend(each)
        elif isinstance(each, Mapping):
            layer.extend(each)
            layer.extend(each.values())
    return True


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, Mapping):
        return {_kept(name): _kept(inner) for name, inner in value.items()}
    return [_kept(inner) for inner in value] if isinstance(value, _LISTS) else value


def _places(value: Any, place: tuple[str, ...]) -> Iterator[str]:
    """Where texts are that cannot be kept; a name that cannot be is told by what it is in."""
    if isinstance(value, str):
        if not is_storable(value):
            yield ".".join(place)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(name, str) and not is_storable(name):
                yield ".".join(place)
            else:
                yield from _places(inner, (*place, str(name)))
    elif isinstance(value, _LISTS):
        for number, inner in enumerate(value):
            yield from _places(inner, (*place, str(number)))
