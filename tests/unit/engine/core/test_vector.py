"""The persistent vector keeps every version as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.engine.core.vector import Vector


@given(st.lists(st.integers(), min_size=1, max_size=300), st.data())
def test_it_is_a_list_whose_versions_stay(items, data):
    vector = Vector.of(items)
    place = data.draw(st.integers(0, len(items) - 1))
    changed = vector.set(place, "new")
    assert list(vector) == items
    assert len(vector) == len(items)
    assert list(changed) == [*items[:place], "new", *items[place + 1 :]]
    several = data.draw(st.dictionaries(st.integers(0, len(items) - 1), st.text()))
    assert list(vector.set_many(several)) == [several.get(i, item) for i, item in enumerate(items)]
    assert all(vector[i] == item for i, item in enumerate(items))


def test_an_empty_one():
    assert list(Vector.of([])) == []
    assert len(Vector.of([])) == 0
