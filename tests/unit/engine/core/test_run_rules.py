"""What a document says of its runs as a whole: concurrency keys, what follows a failure."""

from __future__ import annotations

import pytest

from app.core.errors import Invalid
from app.engine.core.concurrency import slot_of
from app.engine.core.document import content_hash, executable, parse_document
from app.engine.core.validation import validate
from tests.unit.engine.build import CATALOGUE, document

INPUTS = {"properties": {"email": {"type": "string"}, "n": {"type": "integer"}}, "required": ["email", "n"]}


def drawn(**rules):
    base = document("a", inputs=INPUTS, a={"retry": {"attempts": 3}}).as_json()
    return parse_document({**base, **rules})


def test_documents_that_say_nothing_of_it_keep_their_hash():
    plain = document("a", a={"retry": {"attempts": 3}})
    assert content_hash(plain) == "7a9d5b0fae94e93f6bb70197af4dc9661f7119384dd4e56e4a890b01be2d9d2d"
    assert "concurrency" not in plain.as_json()
    assert "on" not in plain.as_json()["nodes"][0]["retry"]


@pytest.mark.parametrize(
    "rules",
    [
        {"concurrency": {"key": "x"}},
        {"concurrency": {"key": "x", "policy": "skip", "limit": 3}},
        {"on_failure": "compensate"},
        {"on_cancel": "compensate"},
        {"error_handler": {"workflow": "Tell"}},
    ],
)
def test_what_is_said_is_stored_and_part_of_the_hash(rules):
    found = drawn(**rules)
    assert content_hash(found) != content_hash(drawn())
    assert parse_document(found.as_json()) == found
    assert executable(parse_document(found.as_json())) == executable(found)


def test_which_failures_a_retry_is_for_is_part_of_the_hash():
    plain, other = document("a", a={"retry": {"attempts": 3}}), {"attempts": 3, "on": ["NotFound"]}
    assert content_hash(document("a", a={"retry": other})) != content_hash(plain)
    assert document("a", a={"retry": other}).as_json()["nodes"][0]["retry"]["on"] == ["NotFound"]


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"concurrency": {"key": ""}}, "concurrency.key"),
        ({"concurrency": {"key": "x", "limit": 0}}, "concurrency.limit"),
        ({"concurrency": {"key": "x", "policy": "wait"}}, "concurrency.policy"),
        ({"on_failure": "undo"}, "on_failure"),
        ({"error_handler": {"workflow": ""}}, "error_handler.workflow"),
    ],
)
def test_rules_of_the_wrong_shape_are_named(rules, field):
    with pytest.raises(Invalid) as refused:
        drawn(**rules)
    assert [problem.field for problem in refused.value.problems] == [field]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("{{ inputs.email }}", None),
        ("user {{ inputs.email }} of {{ client.domain }}", None),
        ("always the same", None),
        ("{{ inputs.nothing }}", "unknown_field"),
        ("{{ steps.a.output.id }}", "unknown_name"),
        ("{{ run.id }}", "unknown_name"),
        ("{{ item }}", "unknown_name"),
        ("{{ inputs. }}", "broken_expression"),
        ("{{ inputs.email", "unclosed_template"),
    ],
)
def test_a_key_uses_what_is_known_at_the_start(key, code):
    found = validate(drawn(concurrency={"key": key}), CATALOGUE)
    assert [(problem.code, problem.field, problem.node) for problem in found] == (
        [(code, "concurrency.key", None)] if code else []
    )


@pytest.mark.parametrize(
    ("key", "inputs", "wanted"),
    [
        ("{{ inputs.email }}", {"email": "anna@ex.fr"}, "anna@ex.fr"),
        ("{{ inputs.n }}", {"n": 3}, "3"),
        ("{{ client.domain }}:{{ inputs.n }}", {"n": 3}, "ex.fr:3"),
    ],
)
def test_the_key_of_a_run(key, inputs, wanted):
    rule = {"key": key, "policy": "replace", "limit": 2}
    assert slot_of(drawn(concurrency=rule), inputs, {"domain": "ex.fr"}) == {**rule, "key": wanted}
    assert slot_of(drawn(), inputs, {}) is None


@pytest.mark.parametrize(
    ("key", "inputs"),
    [
        ("{{ inputs.email }}", {"email": None}),
        ("{{ inputs.email }}", {"email": "  "}),
        ("{{ inputs.email }}", {"email": "x" * 501}),
        ("{{ inputs.email }}", {}),
    ],
)
def test_a_key_that_names_nothing_is_refused(key, inputs):
    with pytest.raises(Invalid) as refused:
        slot_of(drawn(concurrency={"key": key}), inputs, {})
    assert refused.value.problems[0].field == "concurrency.key"
