"""A run's inputs: checked, completed, and read from a CSV's texts."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from app.engine.core.inputs import check_inputs, inputs_from_texts
from app.engine.core.schema_check import schema_problem, value_problems

SCHEMA = {
    "type": "object",
    "properties": {
        "email": {"type": "string", "format": "email"},
        "first": {"type": "string", "minLength": 1},
        "seats": {"type": "integer", "minimum": 1, "default": 1},
        "share": {"type": "number"},
        "manager": {"type": "boolean"},
        "groups": {"type": "array", "items": {"type": "string"}},
        "department": {"enum": ["Sales", "Engineering"]},
        "code": {"type": "string", "pattern": "^(a+)+$"},
        "site": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
    "required": ["email", "first"],
}
GOOD = {"email": "zoé@ex.fr", "first": "Zoé"}
EMPTY = dict.fromkeys(("share", "manager", "groups", "department", "code", "site"))


def test_defaults_and_nulls_are_filled_in():
    assert check_inputs(SCHEMA, GOOD) == ({**GOOD, "seats": 1, **EMPTY}, [])


def test_null_is_the_same_as_left_out():
    assert check_inputs(SCHEMA, {**GOOD, "share": None}) == check_inputs(SCHEMA, GOOD)


def test_numbers_come_in_the_kind_that_was_declared():
    found, problems = check_inputs(SCHEMA, {**GOOD, "seats": 3.0, "share": 2})
    assert problems == []
    assert (type(found["seats"]), type(found["share"])) == (int, float)


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"first": "x"}, "missing_field", "inputs.email"),
        ({**GOOD, "email": None}, "wrong_type", "inputs.email"),
        ({**GOOD, "email": "zoé"}, "wrong_format", "inputs.email"),
        ({**GOOD, "email": "zoé@localhost"}, "wrong_format", "inputs.email"),
        ({**GOOD, "first": ""}, "too_short", "inputs.first"),
        ({**GOOD, "seats": "3"}, "wrong_type", "inputs.seats"),
        ({**GOOD, "seats": True}, "wrong_type", "inputs.seats"),
        ({**GOOD, "seats": 0}, "too_small", "inputs.seats"),
        ({**GOOD, "groups": ["a", 1]}, "wrong_type", "inputs.groups.1"),
        ({**GOOD, "department": "sales"}, "not_a_choice", "inputs.department"),
        ({**GOOD, "frist": "x"}, "unknown_field", "inputs.frist"),
        ({**GOOD, "site": {"city": 3}}, "wrong_type", "inputs.site.city"),
        ({**GOOD, "first": "x" * 2_000_000}, "inputs_too_big", "inputs"),
        ({**GOOD, "share": float("nan")}, "inputs_too_large", "inputs"),
        ([], "wrong_type", "inputs"),
        (None, "wrong_type", "inputs"),
    ],
)
def test_each_fault_names_its_field(given, code, field):
    _, problems = check_inputs(SCHEMA, given)
    assert [(problem.code, problem.field) for problem in problems] == [(code, field)]


def test_all_faults_are_told():
    _, problems = check_inputs(SCHEMA, {"seats": 0, "extra": 1})
    assert {problem.field for problem in problems} == {"inputs.email", "inputs.first", "inputs.seats", "inputs.extra"}


def test_a_hostile_pattern_takes_no_time():
    _, problems = check_inputs(SCHEMA, {**GOOD, "code": "a" * 50 + "!"})
    assert [problem.code for problem in problems] == ["wrong_pattern"]


def test_a_row_of_texts():
    row = {
        "email": "o'neil@ex.fr",
        "first": " Zoé ",
        "seats": "2",
        "share": "2,5",
        "manager": "oui",
        "groups": "a; b;",
        "site": '{"city": "Köln"}',
        "code": "",
    }
    found, problems = inputs_from_texts(SCHEMA, row)
    assert problems == []
    assert found == {
        "email": "o'neil@ex.fr",
        "first": "Zoé",
        "seats": 2,
        "share": 2.5,
        "manager": True,
        "groups": ["a", "b"],
        "department": None,
        "code": None,
        "site": {"city": "Köln"},
    }


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ({"seats": "two"}, "inputs.seats"),
        ({"share": "much"}, "inputs.share"),
        ({"manager": "perhaps"}, "inputs.manager"),
        ({"site": "Köln"}, "inputs.site"),
        ({"email": "none"}, "inputs.email"),
        ({"first": " "}, "inputs.first"),
        ({"unknown": "x"}, "inputs.unknown"),
    ],
)
def test_a_wrong_text_names_its_field(texts, field):
    _, problems = inputs_from_texts(SCHEMA, {**GOOD, **texts})
    assert [problem.field for problem in problems] == [field]


def test_numbers_in_a_list():
    schema = {"type": "object", "properties": {"n": {"type": "array", "items": {"type": "integer"}}}}
    assert inputs_from_texts(schema, {"n": "1;2"})[0] == {"n": [1, 2]}
    assert inputs_from_texts(schema, {"n": "[1, 2]"})[0] == {"n": [1, 2]}
    assert inputs_from_texts(schema, {"n": "1;x"})[1][0].field == "inputs.n"


def test_a_broken_schema_is_the_workflows_fault():
    _, problems = check_inputs({"type": "object", "properties": {"a": {"type": "strin"}}}, {"a": 1})
    assert [problem.code for problem in problems] == ["bad_inputs"]


def _doubling(levels: int) -> dict:
    """A schema that is small and means 2 ** levels checks."""
    defs = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(levels)}
    return {"$ref": "#/$defs/a0", "$defs": {**defs, f"a{levels}": {"type": "string"}}}


@pytest.mark.parametrize(
    "inner",
    [_doubling(60), {"$ref": "#/$defs/s", "$defs": {"s": {"$ref": "#/$defs/s"}}}],
    ids=["doubling", "round and round"],
)
def test_a_schema_without_an_end_is_said_to_be_one(inner):
    defs = inner.pop("$defs")
    _, problems = check_inputs({"type": "object", "properties": {"m": inner}, "$defs": defs}, {"m": "x"})
    assert [problem.code for problem in problems] == ["schema_endless"]


def test_a_long_mixed_list_is_compared_in_no_time():
    schema = {"type": "object", "properties": {"m": {"type": "array", "uniqueItems": True}}}
    long = ["a", *range(100_000)]
    assert check_inputs(schema, {"m": long})[1] == []
    assert [problem.field for problem in check_inputs(schema, {"m": [*long, 7.0]})[1]] == ["inputs.m"]


@pytest.mark.parametrize(
    ("items", "same"),
    [
        ([1, 1.0], True),
        ([1, True], False),
        ([0, False, None, "", "0", []], False),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], True),
        ([[1, 2], [2, 1]], False),
    ],
)
def test_what_is_the_same_is_what_json_calls_the_same(items, same):
    schema = {"type": "object", "properties": {"m": {"type": "array", "uniqueItems": True}}}
    assert bool(check_inputs(schema, {"m": items})[1]) is same


def test_properties_named_by_a_pattern_are_not_understood():
    inner = {"type": "object", "patternProperties": {"^(a+)+$": {"type": "string"}}}
    assert schema_problem({"type": "object", "properties": {"m": inner}}) == (
        "patternProperties is not understood here: name the properties",
        "properties.m.patternProperties",
    )
    assert schema_problem({"type": "object", "properties": {"patternProperties": {"type": "string"}}}) is None


_SLOW = {"type": "object", "patternProperties": {"^(a+)+$": {"type": "string"}}}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"m": {"$ref": "#/examples/0"}}, "examples": [_SLOW]},
        {"properties": {"m": {"$ref": "#/default/m"}}, "default": {"m": {"properties": {"n": _SLOW}}}},
        {"properties": {"m": {"$dynamicRef": "#/%65num/0"}}, "enum": [{"allOf": [_SLOW]}]},
        # The names of properties, read as a schema.
        {"properties": {"m": {"$ref": "#/properties"}, "patternProperties": {"^(a+)+$": {}}}},
        # A reference that means another place for the library, which starts again at the inner $id.
        {"properties": {"m": {"$id": "x", "properties": {"n": {"$ref": "#/examples/0"}}, "examples": [_SLOW]}},
         "examples": [{}]},
    ],
    ids=["an example", "a default", "an entry of a list", "names", "another root"],
)  # fmt: skip
def test_no_reference_leads_to_properties_named_by_a_pattern(schema):
    found = schema_problem({"type": "object", **schema})
    assert found is not None
    assert "not understood" in found[0]


def test_a_schema_refers_to_its_own_parts():
    """Also round and round; how often that is followed is bounded."""
    person = {"type": "object", "properties": {"boss": {"$ref": "#/$defs/a~1b"}, "self": {"$ref": "#"}}}
    schema = {"type": "object", "properties": {"m": {"$ref": "#/$defs/a~1b"}}, "$defs": {"a/b": person}}
    assert schema_problem({"$id": "https://example.com/s", **schema}) is None
    assert [p.field for p in check_inputs(schema, {"m": {"boss": {"boss": 1}}})[1]] == ["inputs.m.boss.boss"]


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """The address of a server on this machine that has a schema for everybody, and what it was asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"type": "integer"}')

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("reference", ["{}/inside", "file:///etc/hostname", "inside", "#/nowhere", "#nowhere", "#/0"])
@pytest.mark.parametrize("word", ["$ref", "$dynamicRef"])
def test_nothing_is_fetched_for_a_schema(asked: tuple[str, list[str]], word: str, reference: str):
    """Whoever writes a schema would have the server ask addresses of its own network, or read its files."""
    address, paths = asked
    schema = {"type": "object", "$id": f"{address}/", "properties": {"m": {word: reference.format(address)}}}
    found = schema_problem(schema)
    assert found is not None
    assert found[1] == f"properties.m.{word}"
    # Nor where one was stored before such schemas were refused.
    assert [problem.code for problem in value_problems({"m": "x"}, schema, schema, "payload")] == ["schema_elsewhere"]
    assert paths == []
