"""What PostgreSQL takes as text, and what is kept in the place of what it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.storable import is_storable, storable, storable_text, unstorable

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner),
    max_leaves=20,
)


@pytest.mark.parametrize("text", ["", "plain", "é", "\U0001f600", json.loads('"\\ud83d\\ude00"'), "\ufffd", "\x01"])
def test_most_texts_are_kept_as_they_are(text: str) -> None:
    assert is_storable(text)
    assert storable_text(text) is text


@pytest.mark.parametrize("text", ["\0", "a\0b", "cut off \ud83d", "é\0"])
def test_others_keep_all_but_the_character(text: str) -> None:
    assert not is_storable(text)
    assert len(storable_text(text)) == len(text)
    assert is_storable(storable_text(text))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("\0", ""),
        ({"a": {"b": ["x", "\ud83d"]}}, "a.b.1"),
        ({"a": {"b\0": 1}}, "a"),
        ([{"a": 1}, {"a": "\0"}], "1.a"),
    ],
)
def test_the_place_is_named(value: Any, place: str) -> None:
    assert unstorable(value) == place


@given(ANY)
def test_what_is_kept_can_be_and_stays_where_it_could(value: Any) -> None:
    kept = storable(value)
    assert unstorable(kept) is None
    json.dumps(kept, ensure_ascii=False).encode()
    if unstorable(value) is None:
        assert kept is value
