"""Nothing, durably."""

from __future__ import annotations

from app.engine.steps.base import Answer, Decision, FlowStep, View
from connectors.base import Effect, Params, Text


class NoopParams(Params):
    pass


class Noop(FlowStep[NoopParams]):
    """Does nothing, yet counts as an effect: its intent and its outcome are committed as any write's are. It joins
    branches, stands in for a step while drawing, and measures the engine."""

    id = "flow.noop"
    title = Text("Do nothing", "Ne rien faire")
    summary = Text("A place to join branches or to start from.", "Un point pour réunir des branches ou pour commencer.")
    icon = "circle-dot"
    effect = Effect.WRITE
    Params = NoopParams

    def decide(self, params: NoopParams, view: View) -> Answer:
        return Decision()
