"""A client's variable, set by a workflow: our own data, planned, recorded and undone like any other write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from pydantic import Field

from app.engine.core.variables import TARGET
from connectors.base import (
    Applied,
    Attempt,
    Change,
    Done,
    Json,
    Output,
    Params,
    Planned,
    Text,
    UndoPlan,
    World,
    WriteAction,
    param,
)
from connectors.errors import Rejected

MAX_TEXT = 10_000


class OwnData(Protocol):
    """What Opsloom keeps of the run's client, within the run's reach."""

    client_id: UUID

    async def variables(self) -> Mapping[str, Any]: ...

    async def set_variable(self, name: str, before: Json | None, after: Json | None) -> None:
        """Set (or, with ``after`` None, remove) a variable. Raises Conflict where it is no longer as ``before``."""

    async def aclose(self) -> None: ...


class SetVariableParams(Params):
    name: str = param(
        "Variable",
        "Variable",
        help_en="Expressions use it as client.name.",
        help_fr="Les expressions l’utilisent sous la forme client.nom.",
        pattern=r"^[a-z][a-z0-9_]*$",
        max_length=64,
        placeholder="next_employee_number",
    )
    value: Any = Field(
        title="Value",
        json_schema_extra={
            "x-title": {"en": "Value", "fr": "Valeur"},
            "x-help": {
                "en": "A text, a number, true or false, or a list. No secret: whoever sees the client sees it.",
                "fr": "Un texte, un nombre, vrai ou faux, ou une liste. Pas de secret : qui voit le client la voit.",
            },
            "x-widget": "text",
        },
    )


class SetVariableOutput(Output):
    name: str = param("Variable", "Variable")
    value: Any = Field(default=None, title="Value", json_schema_extra={"x-title": {"en": "Value", "fr": "Valeur"}})


class SetVariable(WriteAction[OwnData, SetVariableParams]):
    """Sets a variable of the client. Later steps of the run see it; the undo gives back the former value."""

    id = "flow.set_variable"
    title = Text("Set client variable", "Définir une variable du client")
    summary = Text(
        "Keep a value with the client, for later steps and later runs.",
        "Conserve une valeur avec le client, pour les étapes et exécutions suivantes.",
    )
    category = "flow"
    icon = "braces"
    Params = SetVariableParams
    Output = SetVariableOutput

    async def plan(self, client: OwnData, params: SetVariableParams, world: World) -> Planned:
        _refuse_odd(params.value)
        target, after = f"{TARGET}{params.name}", {"value": params.value}
        before = world.over(target, await _present(client, params.name))
        kind: Any = "none" if before == after else "update" if before else "create"
        change = Change(kind=kind, target=target, label=params.name, before=before, after=after)
        return Planned(change, {"name": params.name, "value": params.value})

    async def apply(self, client: OwnData, params: SetVariableParams, change: Change, attempt: Attempt) -> Applied:
        await client.set_variable(params.name, change.before, change.after)
        return Applied(change, {"name": params.name, "value": params.value})

    async def plan_undo(self, client: OwnData, done: Done, world: World | None = None) -> UndoPlan:
        name, was, made = str(done.params["name"]), done.change.before, done.change.after
        present = (world or World()).over(done.change.target, await _present(client, name))
        if present == was:
            return UndoPlan(Change(kind="none", target=done.change.target, label=name, before=present, after=was))
        drift = None
        if present != made:
            drift = {"value": {"expected": (made or {}).get("value"), "found": (present or {}).get("value")}}
        kind: Any = "delete" if was is None else "update" if present else "create"
        return UndoPlan(Change(kind=kind, target=done.change.target, label=name, before=present, after=was), drift)

    async def undo(self, client: OwnData, done: Done, change: Change, attempt: Attempt) -> Applied:
        await client.set_variable(str(done.params["name"]), change.before, change.after)
        return Applied(change)


async def _present(client: OwnData, name: str) -> Json | None:
    variables = await client.variables()
    return {"value": variables[name]} if name in variables else None


def _refuse_odd(value: Any) -> None:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        message = f"A variable holds at most {MAX_TEXT} characters."
        raise Rejected(message, code="variable_too_long", field="value")
    if not isinstance(value, str | int | float | bool | list):
        message = "A variable is a text, a number, true or false, or a list."
        raise Rejected(message, code="variable_invalid", field="value")
    if isinstance(value, list) and len(str(value)) > MAX_TEXT:
        raise Rejected(f"A variable holds at most {MAX_TEXT} characters.", code="variable_too_long", field="value")
