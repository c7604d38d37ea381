"""Both languages say everything: the catalogue, what pages ask of it, and the codes that the server sends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.core.home import PROJECT
from app.ui.i18n import LANGUAGES, catalogue, t
from app.ui.steps import step_words

SCRIPTS = sorted([*(PROJECT / "app/ui/js").glob("*.js*"), *(PROJECT / "app/builder/js").glob("*.js*")])


def forms(message: str | Mapping[str, str]) -> Iterator[str]:
    yield from [message] if isinstance(message, str) else message.values()


def placeholders(message: Any) -> set[str]:
    return {name for form in forms(message) for name in re.findall(r"\{(\w+)\}", form)}


@pytest.mark.parametrize("key", catalogue())
def test_a_text_says_the_same_in_each_language(key: str) -> None:
    sides = catalogue()[key]
    assert set(sides) == set(LANGUAGES)
    for language in LANGUAGES:
        assert all(form.strip() == form and form for form in forms(sides[language])), language
    assert placeholders(sides["en"]) == placeholders(sides["fr"])
    plural = [isinstance(sides[language], dict) for language in LANGUAGES]
    assert len(set(plural)) == 1, "a text depends on a count in both languages or in none"
    for language in LANGUAGES:
        if isinstance(sides[language], dict):
            assert {"one", "other"} <= set(sides[language])


def test_french_is_translated() -> None:
    """A French text equals the English one only where the word is the same; there are few of those."""
    same = [key for key, sides in catalogue().items() if sides["en"] == sides["fr"]]
    assert len(same) < len(catalogue()) * 0.08, same


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_ask_for_texts_that_there_are(path: Path) -> None:
    asked = set(re.findall(r'\btext(?:\.code)?\(\s*"([a-z_]+\.[\w.]+)"', path.read_text()))
    asked |= set(re.findall(r'(?:key|title|words):\s*"([a-z]+\.[\w.]+)"', path.read_text()))
    assert asked <= set(catalogue()), asked - set(catalogue())


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_hold_no_words_of_their_own(path: Path) -> None:
    """Words between tags, or in an attribute that people read, must come from the catalogue."""
    source = re.sub(r"/\*.*?\*/|^\s*//.*$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    between = re.findall(r"<[A-Za-z][^<>{}]*>\s*([A-Za-z][A-Za-z ,.’'!?-]{2,})\s*</", source)
    read = re.findall(r'(?:aria-label|title|placeholder|alt)="([^"{]*[A-Za-z]{3,}[^"{]*)"', source)
    # The names of languages are written in that language; keys of the keyboard are the same everywhere.
    allowed = {"English", "Français", "Ctrl K"}
    assert not (set(between) | set(read)) - allowed


def test_an_unknown_key_is_refused_while_building() -> None:
    with pytest.raises(KeyError, match=r"no\.such\.text"):
        t("no.such.text")


def test_every_state_role_and_step_of_the_audit_has_words() -> None:
    from app.engine.runtime import audit_names
    from app.engine.steps.registry import catalogue as steps
    from app.services.permissions import ROLES

    texts = set(catalogue())
    states = "queued running waiting paused succeeded failed cancelled pending skipped unknown open approved denied"
    assert {f"state.{state}" for state in states.split()} <= texts
    assert {f"role.{role}" for role in ROLES} <= texts
    actions = [info.id for info in steps().values() if info.effect == "write" and info.id.count(".") == 2]
    names = {
        name(action) for action in actions for name in (audit_names.applied, audit_names.failed, audit_names.undone)
    }
    assert {f"audit.did.{name}" for name in names} <= texts


@pytest.mark.parametrize(("step", "field"), [
    ("m365.user.disable", "account_enabled"),
    ("m365.user.delete", "department"),
    ("m365.user.revoke_sessions", "sessions_revoked"),
    ("m365.licence.assign", "ENTERPRISEPACK"),
    ("aws.instance.run", "image_id"),
    ("aws.instance.stop", "state"),
    ("aws.instance.terminate", "instance_type"),
])  # fmt: skip
def test_fields_of_changes_that_are_no_parameters_have_words(step: str, field: str) -> None:
    assert set(step_words()[step]["fields"][field]) == set(LANGUAGES)
