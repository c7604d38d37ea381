"""A line in the run's log."""

from __future__ import annotations

from typing import Literal

from app.engine.steps.base import Answer, Decision, FlowStep, View
from connectors.base import Output, Params, Text, param


class LogParams(Params):
    message: str = param("Message", "Message", min_length=1, max_length=10_000, widget="textarea")
    level: Literal["info", "warning", "error"] = param("Level", "Niveau", default="info")


class LogOutput(Output):
    level: Literal["info", "warning", "error"] = param("Level", "Niveau", default="info")
    message: str = param("Message", "Message", default="")


class Log(FlowStep[LogParams]):
    """Writes a line that stays with the run: it is the step's output, in the run's history and on its page. The
    processes' own logs never hold it, since it may speak of people."""

    id = "flow.log"
    title = Text("Log", "Journal")
    summary = Text("Write a line in the run’s log.", "Écrit une ligne dans le journal de l’exécution.")
    icon = "scroll-text"
    Params = LogParams
    Output = LogOutput

    def decide(self, params: LogParams, view: View) -> Answer:
        return Decision(output={"level": params.level, "message": params.message})
