"""Another workflow as one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from app.engine.steps.base import Answer, BodyStep, Decision, Expand, Iteration, View
from connectors.base import Output, Params, Text, param


class SubWorkflowParams(Params):
    workflow: str = param(
        "Workflow",
        "Workflow",
        help_en="The name of another workflow of this client. The version is pinned when this one is saved.",
        help_fr="Le nom d’un autre workflow de ce client. La version est figée à l’enregistrement de celui-ci.",
        min_length=1,
        max_length=200,
    )
    version: int | None = param(
        "Version",
        "Version",
        help_en="Empty: the one that is published when this workflow is saved.",
        help_fr="Vide : celle qui est publiée au moment de l’enregistrement.",
        default=None,
        ge=1,
    )
    inputs: dict[str, Any] = param(
        "Inputs",
        "Entrées",
        help_en="Names and values for the other workflow's inputs; a value may hold {{ expressions }}.",
        help_fr="Des noms et des valeurs pour les entrées de l’autre workflow ; une valeur peut contenir des "
        "{{ expressions }}.",
        default_factory=dict,
        widget="key_values",
    )
    result: str | None = param(
        "Result",
        "Résultat",
        help_en="An expression over the other workflow's steps, such as steps.create.output.id.",
        help_fr="Une expression sur les étapes de l’autre workflow, par exemple steps.create.output.id.",
        default=None,
        widget="expression",
        max_length=4096,
    )


class SubWorkflowOutput(Output):
    result: Any = param("Result", "Résultat", default=None)


class SubWorkflow(BodyStep[SubWorkflowParams]):
    """Runs the steps of another workflow here, with inputs of their own: in one plan, under one seal, in one undo."""

    id = "flow.workflow"
    title = Text("Sub-workflow", "Sous-workflow")
    summary = Text("Run another workflow as one step.", "Exécute un autre workflow comme une étape.")
    icon = "workflow"
    body = "workflow"
    inner = ("result",)
    expressions: ClassVar[Mapping[str, str]] = {"result": "any"}
    Params = SubWorkflowParams
    Output = SubWorkflowOutput

    def decide(self, params: SubWorkflowParams, view: View) -> Answer:
        return Expand((dict(params.inputs),))

    def finish(self, params: SubWorkflowParams, iterations: Sequence[Iteration], view: View) -> Answer:
        result = iterations[-1].evaluate(params.result) if params.result else None
        return Decision(output={"result": result})
