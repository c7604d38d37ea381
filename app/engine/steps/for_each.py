"""The same steps for each item of a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from app.engine.core.faults import ExpressionError
from app.engine.core.values import Unknown
from app.engine.steps.base import Answer, BodyStep, Decision, Expand, Iteration, View
from connectors.base import Output, Params, Text, param


class ForEachParams(Params):
    items: list[Any] = param(
        "List",
        "Liste",
        help_en="An expression that gives a list, such as {{ inputs.people }}. Each item is called item inside.",
        help_fr="Une expression qui donne une liste, par exemple {{ inputs.people }}. À l’intérieur, chaque élément "
        "s’appelle item.",
    )
    limit: int = param(
        "At a time",
        "Simultanément",
        help_en="How many items are worked on together.",
        help_fr="Nombre d’éléments traités en même temps.",
        default=5,
        ge=1,
        le=100,
    )
    on_item_error: Literal["stop", "collect"] = param(
        "When an item fails",
        "Si un élément échoue",
        help_en="stop: nothing more is begun and the step fails. collect: the others go on, failures are listed.",
        help_fr="stop : plus rien ne commence et l’étape échoue. collect : les autres continuent, les échecs sont "
        "listés.",
        default="stop",
    )
    result: str | None = param(
        "Result of an item",
        "Résultat d’un élément",
        help_en="An expression over the steps inside, such as steps.create.output.id; null for an item that skipped "
        "the step. Empty: no results are kept.",
        help_fr="Une expression sur les étapes intérieures, par exemple steps.create.output.id ; null pour un élément "
        "qui a sauté l’étape. Vide : aucun résultat n’est gardé.",
        default=None,
        widget="expression",
        max_length=4096,
    )


class ForEachOutput(Output):
    results: tuple[Any, ...] = param("Results", "Résultats", default=())
    failed: tuple[dict[str, Any], ...] = param("Failed items", "Éléments en échec", default=())
    count: int = param("Items", "Éléments", default=0)


class ForEach(BodyStep[ForEachParams]):
    """Does its steps once for each item. While planning a list that only the run will bring, they are planned once, as
    a "maybe" that stands for all."""

    id = "flow.for_each"
    title = Text("For each", "Pour chaque")
    summary = Text("Do the same for each item of a list.", "Fait la même chose pour chaque élément d’une liste.")
    icon = "repeat"
    body = "each"
    inner = ("result",)
    expressions: ClassVar[Mapping[str, str]] = {"result": "any"}
    Params = ForEachParams
    Output = ForEachOutput

    def decide(self, params: ForEachParams, view: View) -> Answer:
        collect = params.on_item_error == "collect"
        if isinstance(params.items, Unknown):
            item = Unknown(f"{params.items.expression}[?]")
            return Expand((item,), limit=params.limit, collect=collect, unknown=True)
        if not params.items:
            return Decision(output={"results": [], "failed": [], "count": 0})
        return Expand(tuple(params.items), limit=params.limit, collect=collect)

    def finish(self, params: ForEachParams, iterations: Sequence[Iteration], view: View) -> Answer:
        if isinstance(params.items, Unknown):
            return Decision(output=Unknown(f"steps.{view.node}.output"))
        ended = [(one.index, *_result(params, one)) for one in iterations]
        failed = [{"index": index, "error": dict(error)} for index, _, error in ended if error]
        results = [result for _, result, _ in ended]
        return Decision(output={"results": results, "failed": failed, "count": len(iterations)})


def _result(params: ForEachParams, one: Iteration) -> tuple[Any, Mapping[str, Any] | None]:
    """What an item gives, and the error where it gives none. Raises ExpressionError unless errors are collected.

    The steps of every item are done by now, so one item's result must not cost the others' theirs.
    """
    if one.error or not params.result:
        return None, one.error
    try:
        return one.evaluate(params.result), None
    except ExpressionError as error:
        if error.code == "no_output":
            return None, None  # the step that would give it was skipped for this item
        if params.on_item_error == "stop":
            raise
        return None, error.as_json()
