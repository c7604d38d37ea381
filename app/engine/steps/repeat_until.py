"""The same steps again, until something is so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from app.engine.core.values import Unknown
from app.engine.steps.base import Answer, BodyStep, Decision, Expand, Iteration, View
from connectors.base import Output, Params, Text, param


class RepeatParams(Params):
    until: str = param(
        "Until",
        "Jusqu’à",
        help_en="An expression over the steps inside, true when it is enough, such as steps.look.output.count == 0. "
        "index is the number of the round, from 0.",
        help_fr="Une expression sur les étapes intérieures, vraie quand cela suffit, par exemple "
        "steps.look.output.count == 0. index est le numéro du tour, à partir de 0.",
        widget="expression",
        min_length=1,
        max_length=4096,
    )
    max_rounds: int = param(
        "Rounds at most",
        "Nombre maximal de tours",
        help_en="After that the step leaves by exhausted.",
        help_fr="Ensuite l’étape sort par exhausted.",
        default=10,
        ge=1,
        le=1000,
    )
    result: str | None = param(
        "Result",
        "Résultat",
        help_en="An expression over the steps inside, worked out after the last round.",
        help_fr="Une expression sur les étapes intérieures, calculée après le dernier tour.",
        default=None,
        widget="expression",
        max_length=4096,
    )


class RepeatOutput(Output):
    rounds: int | None = param("Rounds", "Tours", default=None)
    met: bool | None = param("Condition met", "Condition remplie", default=None)
    result: Any = param("Result", "Résultat", default=None)


class RepeatUntil(BodyStep[RepeatParams]):
    """Does its steps, looks whether that was enough, and does them again, a bounded number of times. A plan shows one
    round as a "maybe" that stands for all."""

    id = "flow.repeat_until"
    title = Text("Repeat until", "Répéter jusqu’à")
    summary = Text("Do the same again until it is enough.", "Recommence jusqu’à ce que ce soit le cas.")
    icon = "rotate-cw"
    ports = ("next", "exhausted")
    body = "repeat"
    inner = ("until", "result")
    expressions: ClassVar[Mapping[str, str]] = {"until": "bool", "result": "any"}
    Params = RepeatParams
    Output = RepeatOutput

    def decide(self, params: RepeatParams, view: View) -> Answer:
        return Expand((None,), unknown=view.mode == "plan")

    def finish(self, params: RepeatParams, iterations: Sequence[Iteration], view: View) -> Answer:
        if view.mode == "plan":
            return Decision(output=Unknown(f"steps.{view.node}.output"))
        last = iterations[-1]
        met = last.evaluate(params.until)
        rounds = last.index + 1
        if met is not True and rounds < params.max_rounds:
            return Expand((None,), first=rounds)
        result = last.evaluate(params.result) if params.result else None
        output = {"rounds": rounds, "met": met is True, "result": result}
        return Decision("next" if met is True else "exhausted", output)
