"""New values out of old ones."""

from __future__ import annotations

from typing import Any

from app.engine.steps.base import Answer, Decision, FlowStep, View
from connectors.base import Params, Text, param


class TransformParams(Params):
    values: dict[str, Any] = param(
        "Values",
        "Valeurs",
        help_en="Names and values; a value may hold {{ expressions }}. Later steps use them by name.",
        help_fr="Des noms et des valeurs ; une valeur peut contenir des {{ expressions }}. Les étapes suivantes les "
        "utilisent par leur nom.",
        widget="key_values",
        min_length=1,
        max_length=200,
    )


class Transform(FlowStep[TransformParams]):
    """Gives its rendered values as its output."""

    id = "flow.transform"
    title = Text("Transform", "Transformer")
    summary = Text("Work out values for later steps.", "Calcule des valeurs pour les étapes suivantes.")
    icon = "wand-sparkles"
    open_output = "values"
    Params = TransformParams

    def decide(self, params: TransformParams, view: View) -> Answer:
        return Decision(output=dict(params.values))
