"""The workflows that come with the product are right as they are, in both languages."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.core.document import parse_document
from app.engine.core.validation import validate
from app.engine.steps.registry import catalogue
from app.services.templates import LANGUAGES, VARIABLES, Template, documents, templates


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", templates(), ids=lambda template: template.id)
def test_a_template_has_no_problem(template: Template, language: str) -> None:
    variables = dict.fromkeys(VARIABLES, "x")
    document = parse_document(template.document_in(language))
    problems = validate(document, catalogue(), {"m365": "m365", "aws": "aws"}, variables)
    assert [problem.as_json() for problem in problems] == []


@pytest.mark.parametrize("template", templates(), ids=lambda template: template.id)
def test_the_languages_differ_in_words_alone(template: Template) -> None:
    english, french = (template.document_in(language) for language in LANGUAGES)
    assert shape(english) == shape(french)
    for one, other in zip(english["nodes"], french["nodes"], strict=True):
        assert one["name"] != other["name"]
    assert english["name"] != french["name"]
    assert english["description"] != french["description"]


def shape(document: dict[str, Any]) -> Any:
    """What a workflow does: everything but what is only read."""
    nodes = [
        {**node, "name": "", "params": {**node["params"], "title": "", "message": ""}} for node in document["nodes"]
    ]
    inputs = {name: {**spec, "title": ""} for name, spec in document["inputs"]["properties"].items()}
    return nodes, inputs, document["inputs"]["required"], document["edges"]


def test_another_language_is_english() -> None:
    first = templates()[0]
    assert first.document_in("de") == first.document_in("en") == documents()[0]


def test_the_first_is_what_the_tutorial_tells_of() -> None:
    assert [document["name"] for document in documents()] == ["Onboard an employee", "Suspend an employee"]
