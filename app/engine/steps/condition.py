"""Two ways on, by an expression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from app.engine.core.events import UNKNOWN_PORT
from app.engine.core.values import Unknown
from app.engine.steps.base import Answer, Decision, FlowStep, View
from connectors.base import Output, Params, Text, param


class ConditionParams(Params):
    expression: str = param(
        "Condition",
        "Condition",
        help_en="An expression that is true or false, such as inputs.department == 'Engineering'.",
        help_fr="Une expression vraie ou fausse, par exemple inputs.department == 'Ingénierie'.",
        widget="expression",
        placeholder="inputs.department == 'Engineering'",
        min_length=1,
        max_length=4096,
    )


class ConditionOutput(Output):
    result: bool | None = param("Result", "Résultat", default=None)


class Condition(FlowStep[ConditionParams]):
    """Goes on by ``true`` or ``false``. While planning, an undecided condition plans both branches as "maybe"."""

    id = "flow.condition"
    title = Text("Condition", "Condition")
    summary = Text("Take one of two ways, by an expression.", "Prend l’une de deux voies, selon une expression.")
    icon = "split"
    ports = ("true", "false")
    Params = ConditionParams
    Output = ConditionOutput
    expressions: ClassVar[Mapping[str, str]] = {"expression": "bool"}

    def decide(self, params: ConditionParams, view: View) -> Answer:
        answer = view.evaluate_bool(params.expression)
        if isinstance(answer, Unknown):
            return Decision(UNKNOWN_PORT, {"result": answer})
        return Decision("true" if answer else "false", {"result": answer})
