"""Every connector and action says what it must, before any platform is asked."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel, SecretStr

from connectors.base import Action, Effect, NoOutput, ReadAction, Risk, Text, WriteAction
from connectors.registry import CONNECTORS, actions, connector
from connectors.testing import SDKS

ACTIONS = sorted(actions())
WRITES = [name for name in ACTIONS if isinstance(actions()[name], WriteAction)]


def properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property in a JSON schema, at any depth."""
    if isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            yield name, value
        for value in schema.values():
            yield from properties(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from properties(value)


def says_both(text: Text | None) -> bool:
    return bool(text and text.en.strip() and text.fr.strip())


def test_importing_the_registry_imports_no_sdk() -> None:
    code = "import sys; from connectors import registry; registry.actions(); print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.split(".")[0] in SDKS}
    assert loaded == set()


@pytest.mark.parametrize("platform", CONNECTORS)
def test_a_connector_names_itself(platform: str) -> None:
    found = connector(platform)
    assert found.id == platform
    assert says_both(found.title)
    assert found.icon
    assert len({kind.id for kind in found.actions}) == len(found.actions)


@pytest.mark.parametrize("platform", CONNECTORS)
def test_configuration_fields_are_described_and_secrets_are_marked(platform: str) -> None:
    config = connector(platform).Config
    schema = config.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for name, field in schema["properties"].items():
        assert field["x-title"]["en"], name
        assert field["x-title"]["fr"], name
    assert connector(platform).secret_fields(), "a connection without a secret signs nobody in"
    for name, info in config.model_fields.items():
        if re.search(r"secret|password|token|private", name):
            assert info.annotation is SecretStr, name


@pytest.mark.parametrize("action_id", ACTIONS)
def test_an_action_names_itself(action_id: str) -> None:
    action = actions()[action_id]
    platform, resource, verb = action_id.split(".")
    assert platform in CONNECTORS
    assert re.fullmatch(r"[a-z][a-z0-9_]*", resource)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", verb)
    assert says_both(action.title)
    assert says_both(action.summary)
    assert action.title.en != action.title.fr
    assert action.category
    assert action.icon
    assert action.version >= 1
    assert 0 < action.timeout_s <= 3600
    assert action.permissions, "whoever sets up the connection must know what to grant"
    assert (type(action).__doc__ or "").strip()


@pytest.mark.parametrize("action_id", ACTIONS)
def test_effect_and_risk_fit_the_class(action_id: str) -> None:
    action = actions()[action_id]
    if isinstance(action, ReadAction):
        assert action.effect is Effect.READ
        assert action.risk is Risk.LOW
    else:
        assert isinstance(action, WriteAction)
        assert action.effect is Effect.WRITE


@pytest.mark.parametrize("action_id", WRITES)
def test_reversible_actions_can_be_undone_and_others_say_why_not(action_id: str) -> None:
    action: Action[Any, Any] = actions()[action_id]
    defines = {name for name in ("plan_undo", "undo") if getattr(type(action), name) is not getattr(WriteAction, name)}
    if action.reversible:
        assert defines == {"plan_undo", "undo"}
        assert action.irreversible_reason is None
    else:
        assert not defines
        assert says_both(action.irreversible_reason)


@pytest.mark.parametrize("action_id", WRITES)
def test_secrets_that_are_made_have_words_and_differ(action_id: str) -> None:
    for spec in actions()[action_id].secrets:  # type: ignore[attr-defined]
        assert says_both(spec.title)
        assert spec.name not in actions()[action_id].Output.model_fields
        assert spec.generate() != spec.generate()


@pytest.mark.parametrize("action_id", ACTIONS)
def test_schemas_are_valid_and_every_parameter_is_described(action_id: str) -> None:
    action = actions()[action_id]
    for model in (action.Params, action.Output):
        jsonschema.Draft202012Validator.check_schema(model.model_json_schema())
        assert model.model_config["extra"] == "forbid"
        assert model.model_config["frozen"] is True
    for name, info in action.Params.model_fields.items():
        extra = info.json_schema_extra
        assert isinstance(extra, dict), f"{name} is not made with param()"
        for words in ("x-title", "x-help"):
            if words in extra:
                assert extra[words]["en"].strip(), f"{name} {words}"  # type: ignore[call-overload,index]
                assert extra[words]["fr"].strip(), f"{name} {words}"  # type: ignore[call-overload,index]
        assert "x-title" in extra, name


@pytest.mark.parametrize("action_id", ACTIONS)
def test_a_choice_names_a_read_action_that_needs_nothing_and_gives_its_fields(action_id: str) -> None:
    for name, field in properties(actions()[action_id].Params.model_json_schema()):
        if "x-choices" not in field:
            continue
        offered = field["x-choices"]
        source = actions()[offered["action"]]
        assert isinstance(source, ReadAction), name
        assert source.id.partition(".")[0] == action_id.partition(".")[0]
        source.Params()
        row = row_model(source)
        for part in ("value", "label", "detail"):
            assert offered[part] is None or offered[part] in row.model_fields, f"{name}: {part}"


def row_model(action: Action[Any, Any]) -> type[BaseModel]:
    """The model of a row in ``items``."""
    (row,) = action.Output.model_fields["items"].annotation.__args__  # type: ignore[union-attr]
    assert issubclass(row, BaseModel)
    return row


@pytest.mark.parametrize("action_id", ACTIONS)
def test_outputs_hold_no_secret(action_id: str) -> None:
    output = actions()[action_id].Output
    assert output is NoOutput or output.model_fields
    for name, info in output.model_fields.items():
        assert not re.search(r"password|secret", name)
        assert info.annotation is not SecretStr
