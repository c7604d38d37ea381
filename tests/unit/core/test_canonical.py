"""The quick way to canonical JSON gives what the library gives, and refuses what it refuses."""

from __future__ import annotations

import random
from typing import Any

import pytest
import rfc8785

from app.core import canonical

_TEXTS = ("", "a", "b\n", '"\\/', "\x00\x1f\x7f", "é", "\u2028", "\U0001f600", "\ufb33", "Z", "10", "9")
_LEAVES: tuple[Any, ...] = (None, True, False, 0, -7, 2**53 - 1, -(2**53) + 1, 0.5, 1.0, 1e21, 1e-7, -0.0, *_TEXTS)


def made(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(4) if depth else 0
    if kind < 2:
        return chance.choice(_LEAVES)
    items = [made(chance, depth - 1) for _ in range(chance.randrange(5))]
    if kind == 2:
        return items if chance.random() < 0.8 else tuple(items)
    return {chance.choice(_TEXTS): item for item in items}


def test_it_gives_what_the_library_gives() -> None:
    chance = random.Random(8785)
    for _ in range(3000):
        value = made(chance, 4)
        assert canonical.dumps(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("letter", [chr(code) for code in range(0x180)])
def test_each_letter(letter: str) -> None:
    value = {letter: [letter, f"x{letter}"], "a": letter}
    assert canonical.dumps(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("wrong", [2**53, -(2**53), float("nan"), float("inf"), {1: 2}, object(), {"a": {3}}, "\ud800"])
def test_it_refuses_what_the_library_refuses(wrong: Any) -> None:
    with pytest.raises((rfc8785.CanonicalizationError, UnicodeEncodeError)) as theirs:
        rfc8785.dumps(wrong)
    with pytest.raises(type(theirs.value)):
        canonical.dumps(wrong)
