"""Every step type there is: flow steps, and every action of every connector. A new flow step is one line here."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from app.engine.core.catalogue import Catalogue, SecretInfo, StepInfo
from app.engine.steps.approval import Approval
from app.engine.steps.base import FlowStep
from app.engine.steps.condition import Condition
from app.engine.steps.fail import Fail
from app.engine.steps.for_each import ForEach
from app.engine.steps.form import Form
from app.engine.steps.log import Log
from app.engine.steps.noop import Noop
from app.engine.steps.repeat_until import RepeatUntil
from app.engine.steps.set_variable import SetVariable
from app.engine.steps.sub_workflow import SubWorkflow
from app.engine.steps.switch import Switch
from app.engine.steps.transform import Transform
from app.engine.steps.wait import Wait
from connectors.base import Action
from connectors.registry import actions

FLOW_STEPS: tuple[type[FlowStep[Any]], ...] = (
    Condition,
    Switch,
    Wait,
    Approval,
    Form,
    ForEach,
    RepeatUntil,
    SubWorkflow,
    Transform,
    Log,
    Noop,
    Fail,
)

# Writes to Opsloom's own data: planned, sealed, recorded and undone as a connector's are, without a connection.
OWN_ACTIONS: tuple[type[Action[Any, Any]], ...] = (SetVariable,)


@cache
def catalogue() -> Catalogue:
    """All step types. Importing and calling it imports no vendor's SDK."""
    flow = [flow_info(step) for step in flow_steps().values()]
    own = [replace(action_info(found), connection=None) for found in own_actions().values()]
    return Catalogue([*flow, *own, *(action_info(found) for found in actions().values())])


@cache
def flow_steps() -> dict[str, FlowStep[Any]]:
    """The flow steps by id."""
    return {kind.id: kind() for kind in FLOW_STEPS}


def flow_step(step: str) -> FlowStep[Any]:
    """The flow step of this id. Raises KeyError where it is none."""
    return flow_steps()[step]


@cache
def own_actions() -> dict[str, Action[Any, Any]]:
    """The actions on Opsloom's own data by id."""
    return {kind.id: kind() for kind in OWN_ACTIONS}


def action(step: str) -> Action[Any, Any]:
    """The action of this id, a connector's or our own. Raises KeyError where it is none."""
    return own_actions().get(step) or actions()[step]


def is_own(step: str) -> bool:
    """Whether the action works on Opsloom's own data."""
    return step in own_actions()


def is_flow(step: str) -> bool:
    """Whether the engine decides this step type by itself."""
    return step in flow_steps()


def flow_info(step: FlowStep[Any]) -> StepInfo:
    """A flow step as the catalogue has it."""
    return StepInfo(
        id=step.id,
        version=step.version,
        title=step.title.as_json(),
        summary=step.summary.as_json(),
        category=step.category,
        icon=step.icon,
        effect=step.effect.value,
        risk=step.risk.value,
        ports=step.ports,
        params_schema=step.Params.model_json_schema(),
        output_schema=step.Output.model_json_schema(mode="serialization"),
        timeout_s=step.timeout_s,
        defaults=_defaults(step.Params.model_json_schema()),
        open_output=step.open_output,
        expressions=step.expressions,
        ports_from=step.ports_from,
        body=step.body,
        inner=step.inner,
        polls=step.polls,
        output_from=step.output_from,
        asks_people=step.asks_people,
    )


def action_info(found: Action[Any, Any]) -> StepInfo:
    """A connector's action as the catalogue has it."""
    reason = found.irreversible_reason
    schema = found.Params.model_json_schema()
    return StepInfo(
        id=found.id,
        version=found.version,
        title=found.title.as_json(),
        summary=found.summary.as_json(),
        category=found.category,
        icon=found.icon,
        effect=found.effect.value,
        risk=found.risk.value,
        reversible=found.reversible,
        irreversible_reason=reason.as_json() if reason else None,
        params_schema=schema,
        output_schema=found.Output.model_json_schema(mode="serialization"),
        connection=found.id.partition(".")[0],
        permissions=found.permissions,
        secrets=tuple(SecretInfo(s.name, s.title.as_json()) for s in getattr(found, "secrets", ())),
        timeout_s=found.timeout_s,
        defaults=_defaults(schema),
        field_words={name: words.as_json() for name, words in found.field_words.items()},
    )


def _defaults(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return {name: field["default"] for name, field in properties.items() if "default" in field}
