"""``python -m connectors.docs docs/connectors``: a reference page for each platform, made from what its actions say.

The pages are kept in the repository so that they can be read there; a test fails when one is not up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from connectors.base import Action, Connector, Json, WriteAction
from connectors.registry import CONNECTORS, connector

HEAD = "<!-- Made by `python -m connectors.docs docs/connectors` from the connector's own words: change those. -->"


def page(platform: Connector) -> str:
    """The reference page of one platform, in Markdown."""
    lines = [HEAD, f"# {platform.title.en}", "", f"Platform id `{platform.id}`.", "", "## The connection", ""]
    lines += _table(("field", "what it is", "needed"), list(_fields(platform.Config.model_json_schema())))
    secrets = ", ".join(f"`{name}`" for name in sorted(platform.secret_fields()))
    lines += ["", f"Kept in the vault: {secrets}. The other fields stand beside the connection.", ""]
    lines += ["Permissions that all steps together need:", ""]
    lines += [f"- `{name}`" for name in sorted({name for kind in platform.actions for name in kind.permissions})]
    lines += ["", "## The steps", ""]
    lines += _table(
        ("step", "what it does", "effect", "risk", "can be undone"), [_row(kind()) for kind in platform.actions]
    )
    for kind in platform.actions:
        lines += ["", *_section(kind())]
    return "\n".join(lines) + "\n"


def _row(action: Action[Any, Any]) -> tuple[str, ...]:
    undone = "" if not isinstance(action, WriteAction) else "yes" if action.reversible else "no"
    return (f"[`{action.id}`](#{_anchor(action.id)})", action.title.en, action.effect.value, action.risk.value, undone)


def _section(action: Action[Any, Any]) -> Iterator[str]:
    yield f"### {action.id}"
    yield ""
    yield f"**{action.title.en}.** {action.summary.en}"
    if action.irreversible_reason:
        yield f"It cannot be undone: {action.irreversible_reason.en}"
    yield ""
    parameters = list(_fields(action.Params.model_json_schema()))
    if parameters:
        yield from _table(("parameter", "what it is", "needed"), parameters)
    else:
        yield "It takes no parameter."
    yield ""
    yield f"Gives: {_names(action.Output.model_json_schema())}."
    secrets = [f"`{spec.name}` ({spec.title.en})" for spec in getattr(action, "secrets", ())]
    if secrets:
        yield f"Makes and keeps in the vault: {', '.join(secrets)}."
    yield f"Needs: {', '.join(f'`{name}`' for name in action.permissions)}."


def _fields(schema: Json) -> Iterator[tuple[str, ...]]:
    needed = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        words = [field["x-title"]["en"] + "."]
        if "x-help" in field:
            words.append(field["x-help"]["en"])
        if "x-choices" in field:
            words.append(f"Chosen from `{field['x-choices']['action']}`.")
        yield (f"`{name}`", " ".join(words), "yes" if name in needed else _default(field))


def _default(field: Json) -> str:
    default = field.get("default")
    return f"no (`{default}`)" if default not in (None, "", [], {}) else "no"


def _names(schema: Json) -> str:
    return ", ".join(f"`{name}`" for name in schema.get("properties", {})) or "nothing"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines]


def _anchor(action_id: str) -> str:
    """As GitHub makes it from a heading."""
    return action_id.replace(".", "")


def main() -> int:
    """Write the pages into the folder given."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in CONNECTORS:
        (folder / f"{name}.md").write_text(page(connector(name)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
