"""What the expression picker offers."""

from __future__ import annotations

from app.core.errors import Problem
from app.engine.core.insertables import Insertable, available
from app.engine.core.validation import validate
from tests.unit.engine.build import CATALOGUE, document

INPUTS = {
    "properties": {
        "email": {"type": "string"},
        "people": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "it's odd": {"type": "string"},
    },
    "required": ["email", "people", "it's odd"],
}
CREATE = {"type": "m365.user.create", "connection": "m365", "params": {"user": "x"}}


def offered(node, **more):
    drawn = document("a>b b>c r>c", INPUTS, a=CREATE, b={**CREATE, "name": "Second"}, c=CREATE, r=CREATE)
    return {entry.name: entry for entry in available(drawn, CATALOGUE, node, **more)}


def test_roots_and_the_steps_before():
    assert list(offered("c", variables={"domain": "x"})) == ["inputs", "b", "a", "r", "client", "run"]
    assert list(offered("b")) == ["inputs", "a", "run"]
    assert list(offered("a")) == ["inputs", "run"]
    assert list(offered("not there")) == ["inputs", "run"]
    assert "item" in offered("a", in_loop=True)


def test_entries_say_what_they_are():
    found = offered("c")
    fields = {entry.name: entry for entry in found["a"].children}
    assert fields["id"] == Insertable("steps.a.output.id", "id", "string", {"en": "Id", "fr": "Identifiant"})
    assert fields["department"].nullable
    assert fields["manager"].children[0].path == "steps.a.output.manager.id"
    assert found["b"].label == {"en": "Second", "fr": "Second"}
    assert found["a"].label == {"en": "Test", "fr": "Essai"}


def test_lists_and_odd_names():
    inputs = {entry.name: entry for entry in offered("a")["inputs"].children}
    assert inputs["people"].children[0].path == "inputs.people[0].name"
    assert inputs["it's odd"].path == "inputs['it\\'s odd']"


def test_whatever_is_offered_can_be_inserted():
    """Each path, put into a field that takes anything, is an expression without fault."""
    paths = [path for entry in offered("c", variables={"domain": "x"}).values() for path in _paths(entry)]
    assert len(paths) > 30
    for path in paths:
        drawn = document(
            "a>b b>c r>c",
            INPUTS,
            a=CREATE,
            b=CREATE,
            r=CREATE,
            c={"type": "flow.transform", "params": {"values": {"x": "{{ " + path + " }}"}}},
        )
        found: list[Problem] = validate(drawn, CATALOGUE, None, {"domain": "x"})
        assert found == [], path


def _paths(entry: Insertable) -> list[str]:
    return [entry.path, *(path for child in entry.children for path in _paths(child))]


def test_as_json():
    (entry,) = [found for found in available(document("a"), CATALOGUE, "a") if found.name == "run"]
    assert entry.as_json()["children"][0] == {
        "path": "run.id",
        "name": "id",
        "type": "string",
        "label": None,
        "icon": None,
        "nullable": False,
        "children": [],
    }
