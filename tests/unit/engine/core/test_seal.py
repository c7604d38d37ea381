"""What a seal covers, and what counts as a difference."""

from __future__ import annotations

import pytest

from app.engine.core.document import parse_document
from app.engine.core.seal import change_differences, change_digest, differences, seal
from app.engine.core.variables import names_set, sealed_variables

CHANGE = {
    "kind": "update",
    "target": "m365.user:anna@ex.fr",
    "label": "Anna",
    "before": {"enabled": True, "groups": ["a"]},
    "after": {"enabled": False, "groups": ["a"], "id": "1"},
    "reversible": True,
    "note": {"en": "x", "fr": "x"},
    "volatile": ["id"],
}


def sealed(**other):
    base = {
        "document_hash": "d",
        "step_versions": {"m365.user.update": 1},
        "connections": {"m365": {"id": "c1", "tenant": "t1", "name": "Contoso"}},
        "variables": {"domain": "ex.fr"},
        "inputs": {"email": "anna@ex.fr"},
        "changes": [("a", CHANGE)],
    }
    return seal(**{**base, **other})


@pytest.mark.parametrize(
    "other",
    [
        {"document_hash": "e"},
        {"step_versions": {"m365.user.update": 2}},
        {"connections": {"m365": {"id": "c2", "tenant": "t1"}}},
        {"connections": {"m365": {"id": "c1", "tenant": "t2"}}},
        {"variables": {"domain": "other"}},
        {"inputs": {"email": "bob@ex.fr"}},
        {"changes": []},
        {"changes": [("b", CHANGE)]},
        {"changes": [("a", {**CHANGE, "kind": "none"})]},
        {"changes": [("a", {**CHANGE, "target": "m365.user:bob@ex.fr"})]},
        {"changes": [("a", {**CHANGE, "before": {"enabled": False}})]},
        {"changes": [("a", {**CHANGE, "after": {"enabled": {"$unknown": "inputs.x"}}})]},
        {"changes": [("a", {**CHANGE, "reversible": False})]},
        {"kept": [{"kind": "kept", "node": "a", "output": {"id": "1"}}]},
    ],
)
def test_whatever_is_approved_is_in_the_seal(other):
    assert sealed(**other) != sealed()


@pytest.mark.parametrize(
    "other",
    [
        {"changes": [("a", {**CHANGE, "label": "Anna B."})]},
        {"changes": [("a", {**CHANGE, "note": None})]},
        {"changes": [("a", {**CHANGE, "after": {**CHANGE["after"], "id": "2"}})]},
        {"changes": [("a", dict(reversed(CHANGE.items())))]},
        {"connections": {"m365": {"id": "c1", "tenant": "t1", "name": "Renamed"}}},
    ],
    ids=["label", "note", "volatile field", "order of fields", "name of the connection"],
)
def test_words_and_volatile_fields_are_not(other):
    assert sealed(**other) == sealed()


def test_numbers_are_canonical():
    assert change_digest({**CHANGE, "after": {"n": 1}}) == change_digest({**CHANGE, "after": {"n": 1.0}})


def now(**other):
    return {**CHANGE, **other}


DIFFERENCES = [
    ("nothing moved", now(), []),
    ("a volatile field", now(after={**CHANGE["after"], "id": "9"}), []),
    ("a volatile field that was not there", now(after={"enabled": False, "groups": ["a"]}), []),
    ("the present", now(before={"enabled": True, "groups": ["a", "b"]}), [("before.groups", ["a"], ["a", "b"])]),
    ("a field that is gone", now(before={"enabled": True}), [("before.groups", ["a"], None)]),
    ("what is written", now(after={**CHANGE["after"], "enabled": None}), [("after.enabled", False, None)]),
    ("the kind", now(kind="none"), [("kind", "update", "none")]),
    ("the target", now(target="x"), [("target", CHANGE["target"], "x")]),
    ("no before any more", now(before=None), [("before", CHANGE["before"], None)]),
    ("true is not 1", now(before={"enabled": 1, "groups": ["a"]}), [("before.enabled", True, 1)]),
]


@pytest.mark.parametrize(("change", "told"), [c[1:] for c in DIFFERENCES], ids=[c[0] for c in DIFFERENCES])
def test_differences_name_the_field(change, told):
    found = change_differences(CHANGE, change)
    assert [(one["field"], one["sealed"], one["now"]) for one in found] == told


def test_a_sealed_unknown_is_whatever_it_became():
    unknown = {"$unknown": "steps.a.output.id"}
    before = now(after={"manager": unknown, "groups": [unknown, "b"]})
    assert change_differences(before, now(after={"manager": "42", "groups": ["a", "b"]})) == []
    assert change_differences(before, now(after={"manager": "42", "groups": ["a", "c"]})) != []


def test_a_known_value_does_not_become_unknown_unseen():
    assert change_differences(CHANGE, now(after={**CHANGE["after"], "enabled": {"$unknown": "x"}})) != []


def test_differences_of_a_plan():
    found = differences({"a": CHANGE, "b": CHANGE}, {"a": now(kind="none"), "c": CHANGE})
    assert [(one["node"], one["field"]) for one in found] == [("a", "kind"), ("b", "change"), ("c", "change")]
    assert found[1]["now"] is None
    assert found[2]["sealed"] is None
    assert differences({"a": CHANGE}, {"a": CHANGE}) == []


def test_a_seal_holds_no_variable_that_the_workflow_sets():
    body = {"schema": "opsloom/workflow@1", "nodes": [setter("inner", "deep")]}
    drawn = parse_document(
        {
            "schema": "opsloom/workflow@1",
            "nodes": [setter("one", "a"), {"id": "loop", "type": "flow.for_each", "body": body, "params": {}}],
        }
    )
    assert names_set(drawn) == {"a", "deep"}
    changes = [{"target": "client.variable:b"}, {"target": "m365.user:c"}]
    variables = {"a": 1, "b": 2, "c": 3, "deep": 4}
    assert sealed_variables(variables, drawn, changes) == {"c": 3}


def setter(node, name):
    return {"id": node, "type": "flow.set_variable", "params": {"name": name, "value": 1}}
