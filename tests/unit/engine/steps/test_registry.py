"""The catalogue: complete, bilingual, documented, and cheap to make."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from app.engine.core.catalogue import Catalogue
from app.engine.steps import registry
from app.engine.steps.registry import catalogue, flow_info, flow_steps
from connectors.base import Effect, NoOutput, Output, Params, ReadAction, Risk, SecretSpec, Text, WriteAction, param
from tests.unit.engine.build import info

STEPS = list(catalogue().values())
DOCS = Path(__file__).parents[4] / "docs" / "steps"


@pytest.mark.parametrize("step", STEPS, ids=[step.id for step in STEPS])
def test_every_step_type_says_what_it_is_in_both_languages(step):
    for words in (step.title, step.summary):
        assert set(words) == {"en", "fr"}
        assert all(words.values())
    for name, field in step.params_schema.get("properties", {}).items():
        assert set(field.get("x-title", {})) == {"en", "fr"}, f"{name} has no words"
    assert step.reversible or step.irreversible_reason


@pytest.mark.parametrize("step", flow_steps().values(), ids=list(flow_steps()))
def test_every_flow_step_has_a_page_that_names_its_parameters_and_output(step):
    pages = [page.read_text() for page in DOCS.glob("*.md")]
    page = next((page for page in pages if f"`{step.id}`" in page), None)
    assert page is not None, f"docs/steps says nothing of {step.id}"
    names = (*step.Params.model_fields, *step.Output.model_fields)
    unnamed = [name for name in names if not re.search(rf"[`\"]{name}[`\"]", page)]
    assert unnamed == []


@pytest.mark.parametrize("step", STEPS, ids=[step.id for step in STEPS])
def test_every_schema_is_one(step):
    Draft202012Validator.check_schema(step.params_schema)
    Draft202012Validator.check_schema(step.output_schema)
    json.dumps(step.as_json())


def test_the_catalogue_is_made_once():
    assert catalogue() is catalogue()


def test_no_vendors_sdk_is_imported():
    """In a process of its own, as this one may have imported anything."""
    check = (
        "import sys; from app.engine.steps.registry import catalogue; assert len(catalogue()) > 6;"
        "print([m for m in ('msgraph', 'boto3', 'botocore', 'azure', 'google.cloud', 'kiota_abstractions')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_two_steps_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two step types"):
        Catalogue([info("a.b"), info("a.b")])


def test_flow_steps_by_id():
    assert registry.is_flow("flow.noop")
    assert not registry.is_flow("m365.user.create")
    with pytest.raises(KeyError):
        registry.flow_step("m365.user.create")


def test_a_flow_step_as_the_catalogue_has_it():
    found = flow_info(flow_steps()["flow.condition"])
    assert found.ports == ("true", "false")
    assert found.expressions == {"expression": "bool"}
    assert found.output_schema["properties"]["result"]
    assert flow_info(flow_steps()["flow.noop"]).writes


class ThingParams(Params):
    name: str = param("Name", "Nom")
    size: int = param("Size", "Taille", default=2)


class Make(WriteAction):
    id = "test.thing.make"
    version = 3
    title = Text("Make a thing", "Créer une chose")
    summary = Text("Makes it.", "La crée.")
    category = "things"
    icon = "box"
    risk = Risk.HIGH
    reversible = False
    irreversible_reason = Text("It stays.", "Elle reste.")
    permissions = ("Thing.Write",)
    secrets = (SecretSpec("password", Text("Password", "Mot de passe"), lambda: "x"),)
    Params = ThingParams

    async def plan(self, client, params, world): ...

    async def apply(self, client, params, change, attempt): ...


class Look(ReadAction):
    id = "test.thing.look"
    title = summary = Text("Look", "Regarder")
    category = icon = "x"
    Params = ThingParams
    Output: type[Output] = NoOutput

    async def read(self, client, params): ...


def test_an_action_as_the_catalogue_has_it():
    made, looked = registry.action_info(Make()), registry.action_info(Look())
    assert (made.id, made.version, made.effect, made.risk) == ("test.thing.make", 3, "write", "high")
    assert made.connection == "test"
    assert made.defaults == {"size": 2}
    assert made.secrets[0].name == "password"
    assert made.irreversible_reason == {"en": "It stays.", "fr": "Elle reste."}
    assert made.params_schema["required"] == ["name"]
    assert made.params_schema["additionalProperties"] is False
    assert looked.effect == Effect.READ.value
    assert not looked.writes
