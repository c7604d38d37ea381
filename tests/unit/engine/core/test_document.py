"""The document's shape, its hash, and what is refused before anything looks at its meaning."""

from __future__ import annotations

import json

import pytest

from app.core.errors import Invalid
from app.engine.core.document import MAX_DOCUMENT_BYTES, SCHEMA, content_hash, executable, parse_document
from tests.unit.engine.build import document

DRAWN = {
    "schema": SCHEMA,
    "name": "Onboard",
    "nodes": [
        {"id": "a", "type": "test.write", "params": {"x": "é’"}, "position": {"x": 1, "y": 2}},
        {"id": "b", "type": "test.write"},
    ],
    "edges": [{"source": "a", "target": "b"}],
}


def changed(**change):
    """DRAWN with the first node changed."""
    return {**DRAWN, "nodes": [{**DRAWN["nodes"][0], **change}, DRAWN["nodes"][1]]}


@pytest.mark.parametrize(
    "other",
    [
        {**DRAWN, "name": "Renamed", "description": "More"},
        changed(position={"x": 500, "y": -3}),
        changed(name="Create"),
        changed(notes="Why", colour="red"),
        {**DRAWN, "nodes": DRAWN["nodes"][::-1]},
        {**DRAWN, "stickies": [{"id": "s", "text": "note"}]},
        changed(on_error="stop", join="all", disabled=False),
    ],
    ids=["name", "position", "node name", "notes", "order", "stickies", "defaults written out"],
)
def test_the_hash_is_of_what_executes(other):
    assert content_hash(parse_document(other)) == content_hash(parse_document(DRAWN))


@pytest.mark.parametrize(
    "other",
    [
        changed(params={"x": "é'"}),
        changed(type="test.read"),
        changed(timeout_s=5),
        changed(on_error="continue"),
        changed(disabled=True),
        changed(retry={"attempts": 3}),
        changed(connection="other"),
        {**DRAWN, "edges": [{"source": "a", "target": "b", "port": "error"}]},
        {**DRAWN, "inputs": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    ],
    ids=["param", "type", "timeout", "on_error", "disabled", "retry", "connection", "port", "inputs"],
)
def test_whatever_executes_changes_the_hash(other):
    assert content_hash(parse_document(other)) != content_hash(parse_document(DRAWN))


def test_the_hash_is_stable():
    """A stored hash must mean the same in a year: this one was written down when the schema was made."""
    assert content_hash(parse_document(DRAWN)) == content_hash(parse_document(json.dumps(DRAWN)))
    assert content_hash(document("a>b")) == "0db26aa613c0051f058cf9a5786650609cc912296e8d38f44450312be7e9becf"


def test_what_is_stored_reads_back_the_same():
    found = parse_document(DRAWN)
    assert parse_document(json.dumps(found.as_json())) == found


def test_executable_has_no_pictures():
    found = json.dumps(executable(parse_document(changed(name="Picture", notes="Picture", colour="red"))))
    assert "position" not in found
    assert "Picture" not in found


def problems(raw):
    with pytest.raises(Invalid) as caught:
        parse_document(raw)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "node", "field"),
    [
        (changed(id="Bad Id"), "Bad Id", "id"),
        (changed(retry={"attempts": 0}), "a", "retry.attempts"),
        (changed(parms={}), "a", "parms"),
        (changed(on_error="ignore"), "a", "on_error"),
        (changed(timeout_s=-1), "a", "timeout_s"),
        (changed(join=0), "a", "join"),
        ({**DRAWN, "schema": "opsloom/workflow@9"}, None, "schema"),
        ({**DRAWN, "nodes": {}}, None, "nodes"),
        ({"nodes": []} | {"color": 1}, None, "color"),
    ],
)
def test_a_wrong_shape_names_node_and_field(raw, node, field):
    found = problems(raw).problems
    assert (found[0].node, found[0].field) == (node, field)


def test_a_wrong_edge_is_named():
    found = problems({**DRAWN, "edges": [{"source": "a", "target": "b", "port": "No!"}]}).problems
    assert (found[0].edge, found[0].field) == ("a->b", "port")


@pytest.mark.parametrize("raw", ["{", b"\xff\xfe", "[1, 2", "nonsense"])
def test_what_is_not_json(raw):
    assert problems(raw).code == "not_json"


@pytest.mark.parametrize("raw", [None, 3, "[]", "null", []])
def test_what_is_no_object(raw):
    assert problems(raw).problems


def test_ten_megabytes_are_refused_at_once():
    text = json.dumps({**DRAWN, "description": "x" * 10_000_000})
    parsed = json.loads(text)
    assert problems(text).code == "document_too_big"
    assert problems(parsed).code == "document_too_big"
    assert problems({**DRAWN, "nodes": [{"id": "a", "type": "t", "params": {"x": list(range(5_000_000))}}]}).code == (
        "document_too_big"
    )
    assert len(text) > MAX_DOCUMENT_BYTES


def test_deep_nesting_is_refused():
    deep: object = "x"
    for _ in range(5000):
        deep = [deep]
    assert problems(changed(params={"x": deep})).code == "document_too_deep"
    assert problems("[" * 100_000).code in ("document_too_deep", "not_json")


def test_more_than_ten_thousand_nodes_are_refused():
    nodes = [{"id": f"n{place}", "type": "test.write"} for place in range(10_001)]
    found = problems({"schema": SCHEMA, "nodes": nodes}).problems
    assert (found[0].code, found[0].field) == ("too_many_nodes", "nodes")


@pytest.mark.parametrize("number", [2**60, -(2**60), float("nan"), float("inf")])
def test_numbers_that_json_cannot_carry_are_refused(number):
    assert problems(changed(params={"x": [number]})).code == "bad_number"


def test_numbers_of_json_text_too():
    text = json.dumps(changed(params={"x": float("nan")}))
    assert problems(text).code == "bad_number"
