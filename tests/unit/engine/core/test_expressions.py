"""Templates rendered on real values: types, accents, unknowns, failures and limits."""

from __future__ import annotations

import contextlib
import json
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.core.document import Node
from app.engine.core.environment import ascii_text
from app.engine.core.expressions import ExpressionError, evaluate, evaluate_bool, references, render, render_params
from app.engine.core.state import initial
from app.engine.core.values import (
    ABSENT,
    Scope,
    Unknown,
    contains_unknown,
    fill_unknown,
    run_root,
    scope_inside,
    to_json,
    with_unknowns,
)
from app.engine.steps.registry import catalogue
from tests.unit.engine.build import CATALOGUE, document, graph, info

PEOPLE = [{"name": "Zoé", "age": 30}, {"name": "O'Neil", "age": 41}]
SCOPE = Scope(
    inputs={"email": "zoé.o'neil@éx.fr", "first": "Zoé", "count": 3, "share": 0.5, "people": PEOPLE, "none": None},
    steps={
        "create": {"id": "42", "url": Unknown("steps.create.output.url"), "inner": {"x": Unknown("?"), "y": 1}},
        "skipped": None,
        "later": Unknown("steps.later.output"),
    },
    client={"domain": "ex.fr"},
    run={"id": "r1"},
)

RENDERED = [
    ("plain text", "plain text"),
    ("it's 100 % {literal}", "it's 100 % {literal}"),
    (7, 7),
    (None, None),
    ("{{ inputs.email }}", "zoé.o'neil@éx.fr"),
    ("  {{ inputs.count }}\n", 3),
    ("{{ inputs.share }}", 0.5),
    ("{{ inputs.people }}", PEOPLE),
    ("{{ inputs.none }}", None),
    ("{{ true }}", True),
    ("Bonjour {{ inputs.first }} — n° {{ inputs.count }} !", "Bonjour Zoé — n° 3 !"),
    ("{{ inputs.first }}{{ inputs.none }}.", "Zoé."),
    ("is {{ inputs.count > 2 }}", "is true"),
    ("all {{ inputs.people.map(p, p.age) }}", "all [30, 41]"),
    ("{{ 2.0 }} of {{ 2.5 }}", "2 of 2.5"),
    ({"a": ["{{ inputs.count }}", {"b": "x{{ inputs.count }}"}]}, {"a": [3, {"b": "x3"}]}),
    ("{{ {'a': {'b': '}}'}} }}", {"a": {"b": "}}"}}),
    ('{{ "it\'s }} fine" }}', "it's }} fine"),
    ("{{ inputs.count // a comment with }} in it\n + 1 }}", 4),
    ("{{ inputs.people.filter(p, p.age > 40)[0].name }}", "O'Neil"),
    ("{{ inputs.first.ascii().lower() + '@' + client.domain }}", "zoe@ex.fr"),
    ("{{ inputs.first.left(1).upper() }}", "Z"),
    ("{{ inputs.email.split('@')[0].replace('.', '-') }}", "zoé-o'neil"),
    ("{{ inputs['first'] }}", "Zoé"),
    ("{{ has(inputs.nothing) }}", False),
    ("{{ steps.create.output.id + run.id }}", "42r1"),
    ("{{ steps.skipped.output == null ? 'no' : 'yes' }}", "no"),
    ("{{ timestamp('2030-01-01T00:00:00Z') + duration('90m') }}", "2030-01-01T01:30:00Z"),
    ("{{ duration('90s') }}", "90s"),
    ("{{ b'abc' }}", "YWJj"),
    ("{{ 5u }}", 5),
]


@pytest.mark.parametrize(("value", "rendered"), RENDERED)
def test_rendering(value, rendered):
    found = render(value, SCOPE)
    assert found == rendered
    assert type(found) is type(rendered)


UNKNOWN = [
    ("{{ steps.create.output.url }}", "steps.create.output.url"),
    ("{{ steps.create.output }}", "steps.create.output"),
    ("{{ steps.later.output.anything.at.all }}", "steps.later.output.anything.at.all"),
    ("at {{ steps.create.output.url }}!", "at {{ steps.create.output.url }}!"),
    ("{{ steps.create.output.inner }}", "steps.create.output.inner"),
    ("{{ steps.create.output.url == 'x' || true }}", "steps.create.output.url == 'x' || true"),
]


@pytest.mark.parametrize(("value", "source"), UNKNOWN)
def test_what_touches_an_unknown_is_unknown(value, source):
    assert render(value, SCOPE) == Unknown(source)


def test_what_does_not_touch_it_is_known():
    assert render("{{ steps.create.output.id }}", SCOPE) == "42"
    assert render("{{ steps.create.output.inner.y }}", SCOPE) == 1
    assert render({"a": "{{ steps.create.output.url }}", "b": "{{ 1 }}"}, SCOPE)["b"] == 1


FAILING = [
    ("{{ inputs.nothing }}", "missing_field"),
    ("{{ inputs.none.x }}", "no_fields"),
    ("{{ steps.skipped.output.id }}", "no_output"),
    ("{{ steps.ghost.output.id }}", "unknown_step"),
    ("{{ inputs.first + 1 }}", "expression_failed"),
    ("{{ inputs.count / 0 }}", "expression_failed"),
    ("{{ 1.0 / 0.0 }}", "not_json"),
    ("{{ {1: 2} }}", "not_json"),
    ("{{ type(1) }}", "not_json"),
    ("{{ item }}", "no_item"),
    ("{{ vault.password }}", "unknown_name"),
    ("{{ steps.create.params }}", "bad_step_reference"),
    ("{{ 1 + }}", "broken_expression"),
    ("{{ inputs.first", "unclosed_template"),
    ("{{ '" + "x" * 5000 + "' }}", "expression_too_long"),
    ("{{ [1] " + ".map(x, x)" * 40 + "}}", "broken_expression"),
]


@pytest.mark.parametrize(("value", "code"), FAILING)
def test_failures_are_named(value, code):
    with pytest.raises(ExpressionError) as caught:
        render({"field": ["fine", value]}, SCOPE)
    assert caught.value.code == code
    assert caught.value.field == "field.1"
    assert caught.value.as_json()["remedy"] == "Rejected"
    assert caught.value.as_problem("n").node == "n"


COSTLY = [
    "['ab']" + ".map(x, x + x)" * 28 + "[0].size()",
    "[[1, 2]]" + ".map(x, x + x)" * 28,
    "inputs.text" + ".replace('', inputs.text)" * 3,
    "inputs.long.map(x, inputs.long.map(y, inputs.long.map(z, z)))",
    "inputs.long.all(x, inputs.long.all(y, x == y))",
    "inputs.long.map(x, inputs.text).map(x, x + x).size()",
    "inputs.text.matches(inputs.text)",
    "'x'.matches(inputs.text)",
    "[inputs.text, inputs.text].join(inputs.text).replace('a', inputs.text)",
    "inputs.text.split('').map(x, inputs.text).size()",
]


@pytest.mark.parametrize("expression", COSTLY)
def test_what_would_run_long_is_refused_quickly(expression):
    scope = Scope(inputs={"long": list(range(9_000)), "text": "ab" * 50_000})
    with pytest.raises(ExpressionError) as caught:
        evaluate(expression, scope)
    assert caught.value.code == "expression_too_costly"


def test_ordinary_lists_are_not_refused():
    scope = Scope(inputs={"people": [{"name": f"n{i}", "groups": ["a", "b"]} for i in range(1_000)]})
    found = evaluate("inputs.people.filter(p, 'a' in p.groups).map(p, p.name.upper())", scope)
    assert len(found) == 1_000


def test_only_what_is_looked_at_is_converted():
    """A large output that an expression does not touch costs nothing."""
    scope = Scope(steps={"list": {"items": [{"id": i} for i in range(200_000)], "count": 3}})
    evaluate("steps.list.output.count", scope)
    assert evaluate("steps.list.output.count", scope) == 3


def test_conditions():
    assert evaluate_bool("inputs.count == 3", SCOPE) is True
    assert evaluate_bool("steps.create.output.url == 'x'", SCOPE) == Unknown("steps.create.output.url == 'x'")
    with pytest.raises(ExpressionError) as caught:
        evaluate_bool("inputs.first", SCOPE)
    assert caught.value.code == "not_a_condition"


def test_a_loop_has_an_item():
    assert render("{{ item.name }}", Scope(item=PEOPLE[0])) == "Zoé"
    assert render("{{ item }}", Scope(item=None)) is None


def test_references():
    assert references("inputs.a.b + steps.x.output.y.z[0].w") == {
        ("inputs", ("a", "b")),
        ("steps", ("x", "output", "y", "z")),
    }
    assert references("inputs.people.map(p, p.name + client.domain)") == {
        ("inputs", ("people",)),
        ("client", ("domain",)),
    }
    assert references("inputs['odd name'].x") == {("inputs", ("odd name", "x"))}
    assert references("[1].map(inputs, inputs)") == set()
    assert references("has(run.id)") == {("run", ("id",))}


def test_bare_expressions_are_not_rendered():
    node = document("a", a={"type": "flow.condition", "params": {"expression": "inputs.x == '{{ }}'"}}).nodes[0]
    assert render_params(node, CATALOGUE["flow.condition"], SCOPE) == {"expression": "inputs.x == '{{ }}'"}


def test_unknowns_survive_storage():
    value = {"a": [Unknown("x.y")], "b": 1}
    assert to_json(value) == {"a": [{"$unknown": "x.y"}], "b": 1}
    assert with_unknowns(to_json(value)) == value
    assert contains_unknown(value)
    assert contains_unknown(to_json(value))
    assert not contains_unknown({"a": [1]})


def test_fields_that_a_plan_leaves_out_are_unknown():
    step = info("x.y", output_schema={"type": "object", "properties": {"id": {}, "name": {}}})
    assert fill_unknown("n", step, {"name": "a"}) == {"name": "a", "id": Unknown("steps.n.output.id")}


def test_what_stands_in_a_body_sees_all_that_is_around_it():
    around = Scope(**{each.name: [each.name] for each in fields(Scope)})
    inside = scope_inside(around, initial(graph("a")), (), maybe=False)
    found = {each.name: getattr(inside, each.name) for each in fields(Scope)}
    assert list(found.pop("steps")) == ["a"]
    assert (found.pop("item"), found.pop("index")) == (ABSENT, ABSENT)  # of a loop, and there is none
    assert found == {name: [name] for name in found}


def test_while_planning_the_run_itself_is_not_known():
    run = {"id": "1", "label": "l", "started_by": "a", "created_at": "t", "seal": "hidden"}
    assert run_root(run, planning=False) == {"id": "1", "label": "l", "started_by": "a", "created_at": "t"}
    assert run_root(run, planning=True)["id"] == Unknown("run.id")
    assert run_root(run, planning=True)["label"] == "l"


@pytest.mark.parametrize(
    ("text", "plain"),
    [("Zoé Ümlaut", "Zoe Umlaut"), ("Straße", "Strasse"), ("Œuvre", "OEuvre"), ("Łódź", "Lodz"), ("北京 x", " x")],
)
def test_ascii(text, plain):
    assert ascii_text(text) == plain


def test_rendering_is_quick():
    """A template of a kept program: microseconds, not the milliseconds of compiling."""
    render("{{ inputs.email }}", SCOPE)
    for _ in range(1_000):
        render("{{ inputs.email }}", SCOPE)


TOKENS = [
    "inputs",
    ".",
    "first",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    '"',
    "+",
    "?",
    ":",
    ",",
    "1",
    "x",
    "map",
    "==",
    "in",
    "has",
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(TOKENS), max_size=25).map(" ".join)))
@settings(max_examples=500, deadline=None)
def test_whatever_is_written_gives_a_value_or_an_error_of_ours(text):
    for value in (text, "{{" + text + "}}", "a {{ " + text + " }} b"):
        with contextlib.suppress(ExpressionError):
            render(value, SCOPE)
    with contextlib.suppress(ExpressionError):
        evaluate(text, SCOPE)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_data_comes_back_as_it_is(value):
    scope = Scope(inputs={"x": value})
    assert evaluate("inputs.x", scope) == value
    if "\\u0000" not in json.dumps(value):  # PostgreSQL holds no such text either
        assert evaluate("[inputs.x][0]", scope) == value


def test_half_a_character_is_refused():
    for expression in ("[inputs.x]", "inputs.x + '\ud800'"):
        with pytest.raises(ExpressionError) as caught:
            evaluate(expression, Scope(inputs={"x": "\ud800"}))
        assert caught.value.code in ("not_text", "expression_failed")


def test_with_a_payload_only_that_and_the_client_are_seen() -> None:
    scope = Scope(payload={"user": {"mail": "a@b.example", "tags": ["x", "y"]}}, client={"domain": "b.example"})
    inputs = {"email": "{{ payload.user.mail }}", "n": "{{ size(payload.user.tags) }}", "at": "@{{ client.domain }}"}
    assert render(inputs, scope) == {"email": "a@b.example", "n": 2, "at": "@b.example"}
    for foreign in ("inputs.email", "steps.a.output", "run.id", "item"):
        with pytest.raises(ExpressionError) as refused:
            evaluate(foreign, scope)
        assert refused.value.code == "unknown_name"
    with pytest.raises(ExpressionError) as refused:
        evaluate("payload.user", Scope())
    assert refused.value.code == "unknown_name"


def test_what_is_put_into_html_is_text() -> None:
    """What somebody fills in, or sends to a webhook, becomes no link in a mail; the subject stays as it was typed."""
    mail = catalogue()["mail.message.send"]
    name = '<a href="https://evil.example">Renée & Co</a>'
    scope = Scope(inputs={"name": name, "page": "<p>All of it</p>"})
    params = {"subject": "For {{ inputs.name }}", "html": "<p>Hello {{ inputs.name }}</p>"}
    found = render_params(Node(id="mail", type=mail.id, params=params), mail, scope)
    assert found == {
        "subject": f"For {name}",
        "html": "<p>Hello &lt;a href=&quot;https://evil.example&quot;&gt;Renée &amp; Co&lt;/a&gt;</p>",
    }
    whole = Node(id="mail", type=mail.id, params={"html": "{{ inputs.page }}"})
    assert render_params(whole, mail, scope) == {"html": "<p>All of it</p>"}
