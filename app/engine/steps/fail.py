"""A failure on purpose."""

from __future__ import annotations

from app.engine.steps.base import Answer, Decision, Failure, FlowStep, View
from connectors.base import Params, Text, param


class FailParams(Params):
    message: str = param(
        "Reason",
        "Motif",
        help_en="What whoever reads the run is told.",
        help_fr="Ce que lira la personne qui consulte l’exécution.",
        min_length=1,
        max_length=2000,
    )


class Fail(FlowStep[FailParams]):
    """Fails with its reason. A plan passes it: the plan shows what comes before."""

    id = "flow.fail"
    title = Text("Fail", "Échouer")
    summary = Text("Stop here and say why.", "S’arrête ici et dit pourquoi.")
    icon = "octagon-x"
    Params = FailParams

    def decide(self, params: FailParams, view: View) -> Answer:
        if view.mode == "plan":
            return Decision()
        return Failure(params.message)
