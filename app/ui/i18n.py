"""Text in the reader's language.

The catalogue goes to the browser, so the language changes there, without a rebuild and without a round trip. The server
sends codes and numbers, never sentences. ``texts/*.json`` hold ``{"key": ["English", "French"]}``; where a text depends
on a count, each side is an object by plural category (``{"one": …, "other": …}``), chosen by the parameter ``count``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import reflex as rx
from reflex.utils.imports import ImportVar
from reflex.vars import VarData
from reflex_base.environment import environment

from app.ui.js import module

LANGUAGES = ("en", "fr")
TEXTS = Path(__file__).parent / "texts"
# Made at import, as the links of shared assets are; the folder is not part of the project.
PUBLISHED = Path("assets/external/opsloom/texts.js")

Message = str | dict[str, str]

_HOOK = VarData(
    hooks={"const text = useText();": None}, imports={module("i18n.js"): [ImportVar(tag="useText", install=False)]}
)


@cache
def catalogue() -> Mapping[str, Mapping[str, Message]]:
    """Every text by key, then by language. Raises ValueError where a key is defined twice or lacks a language."""
    found: dict[str, dict[str, Message]] = {}
    for path in sorted(TEXTS.glob("*.json")):
        for key, sides in json.loads(path.read_text()).items():
            if key in found or len(sides) != len(LANGUAGES):
                raise ValueError(f"{path.name}: {key} is defined twice or lacks a language")
            found[key] = dict(zip(LANGUAGES, sides, strict=True))
    return found


def publish(target: Path = PUBLISHED) -> None:
    """Write the catalogue where the front end's build imports it, one object a language."""
    texts = {language: {key: sides[language] for key, sides in catalogue().items()} for language in LANGUAGES}
    content = f"export default {json.dumps(texts, ensure_ascii=False, indent=0)};\n"
    if target.exists() and target.read_text() == content:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content)


def t(key: str | rx.Var[str], **params: Any) -> rx.Var[str]:
    """The text ``key`` in the reader's language, with ``params`` filled in. Raises KeyError for an unknown literal key.

    A Var as ``key`` chooses at run time (``t("state.run." + State.state)``).
    """
    if isinstance(key, str) and not isinstance(key, rx.Var) and key not in catalogue():
        raise KeyError(f"no text has the key {key}")
    return _call("text", key, params)


def pick(words: rx.Var[Any] | Mapping[str, str]) -> rx.Var[str]:
    """The reader's side of an object with one text a language, such as a step type's title."""
    return _call("text.pick", words)


def say(problem: rx.Var[Any]) -> rx.Var[str]:
    """An error or problem that the server sent (``code``, ``params``, ``message``) in the reader's language."""
    return _call("text.say", problem)


def reason(found: rx.Var[Any]) -> rx.Var[str]:
    """Why a run waits or failed (``code`` and more) in the reader's language."""
    return _call("text.reason", found)


def when(moment: rx.Var[str]) -> rx.Var[str]:
    """A date and time (ISO 8601) in full, in the reader's language and time zone."""
    return _call("text.when", moment)


def _call(function: str, *arguments: Any) -> rx.Var[str]:
    """A Var that calls one of the functions that the hook gives."""
    parts = [rx.Var.create(argument) for argument in arguments]
    data = VarData.merge(_HOOK, *(part._get_all_var_data() for part in parts))
    return rx.Var(f"{function}({', '.join(str(part) for part in parts)})", _var_type=str, _var_data=data)


if not environment.REFLEX_BACKEND_ONLY.get():
    publish()
