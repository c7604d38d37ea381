"""Operations on a workflow document: what they do, what they refuse, and that the browser's copy agrees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.ops import MAX_SETS, apply, apply_all, check_size
from app.core.errors import Invalid

CASES = json.loads((Path(__file__).parent / "cases.json").read_text())
EMPTY = {"name": "n", "nodes": [], "edges": []}


@pytest.mark.parametrize("case", CASES, ids=[case["says"] for case in CASES])
def test_what_an_operation_does(case):
    before = json.dumps(case["document"])
    assert apply_all(case["document"], case["ops"]) == {"nodes": [], "edges": [], **case["result"]}
    assert json.dumps(case["document"]) == before, "the document given is left as it was"


@pytest.mark.parametrize("case", CASES, ids=[case["says"] for case in CASES])
def test_sent_twice_changes_nothing_more(case):
    once = apply_all(case["document"], case["ops"])
    assert apply_all(once, case["ops"]) == once


@pytest.mark.parametrize(
    "path",
    [[], ["nodes"], ["edges"], ["edges", "a", "b"], ["nodes", "a", "id"], ["schema"], ["nodes", 1], ["nodes", ""],
     "name", ["name", "x"], ["nodes", "a", *["p"] * 12], ["nodes", "a" * 500, "name"], None],
)  # fmt: skip
def test_a_place_that_is_none_is_refused(path):
    with pytest.raises(Invalid) as caught:
        apply({**EMPTY, "nodes": [{"id": "a"}]}, {"set": [[path, 1]]})
    assert caught.value.problems[0].code == "ops.path"


@pytest.mark.parametrize("op", [{}, {"set": None}, {"set": [1]}, {"set": [[["name"]]]}, None, [], "x"])
def test_what_is_no_operation_is_refused(op):
    with pytest.raises(Invalid) as caught:
        apply(EMPTY, op)
    assert caught.value.problems[0].code == "ops.shape"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["nodes", "a"], {"id": "b"}),
        (["nodes", "a"], "text"),
        (["edges", "a|next|b"], {"source": "a", "target": "c"}),
        (["edges", "a|next|b"], {"source": "a"}),
        (["edges", "a|next|b"], 1),
    ],
)
def test_what_is_put_must_be_what_its_key_says(path, value):
    with pytest.raises(Invalid) as caught:
        apply(EMPTY, {"set": [[path, value]]})
    assert caught.value.problems[0].code == "ops.key"


def test_too_much_at_once_is_refused():
    with pytest.raises(Invalid):
        apply(EMPTY, {"set": [[["name"], "x"]] * (MAX_SETS + 1)})
    with pytest.raises(Invalid):
        check_size([{"id": "1", "set": [[["name"], "x" * 2_000_001]]}])


ids = st.sampled_from(["a", "b", "c"])
values = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
node_sets = st.tuples(ids, st.booleans()).map(lambda p: [["nodes", p[0]], {"id": p[0]} if p[1] else None])
edge_sets = st.tuples(ids, ids).map(lambda p: [["edges", f"{p[0]}|next|{p[1]}"], {"source": p[0], "target": p[1]}])
field_sets = st.tuples(ids, st.sampled_from(["name", "notes"]), values).map(lambda p: [["nodes", p[0], p[1]], p[2]])
sets = st.lists(node_sets | edge_sets | field_sets, max_size=12)


@given(sets)
def test_no_edge_ever_hangs_loose_and_no_key_comes_twice(given_sets):
    document = apply(EMPTY, {"set": given_sets})
    keys = [node["id"] for node in document["nodes"]]
    assert len(keys) == len(set(keys))
    assert all(edge["source"] in keys and edge["target"] in keys for edge in document["edges"])


@given(sets)
def test_a_batch_may_be_sent_again(given_sets):
    once = apply(EMPTY, {"set": given_sets})
    again = apply(once, {"set": given_sets})

    def by_key(document):
        nodes = sorted(document["nodes"], key=lambda node: node["id"])
        return nodes, sorted(json.dumps(edge, sort_keys=True) for edge in document["edges"])

    assert by_key(again) == by_key(once)
