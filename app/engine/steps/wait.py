"""Time goes by: for a while, until a moment, or until something is so on a platform."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from app.engine.core.catalogue import Polls
from app.engine.core.values import Unknown, contains_unknown
from app.engine.steps.base import Answer, Decision, Failure, FlowStep, Poll, Sleep, View
from connectors.base import Output, Params, Text, param

_SECONDS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86_400.0}
_FOR, _AT, _UNTIL = ("mode", "duration"), ("mode", "moment"), ("mode", "condition")


class WaitParams(Params):
    mode: Literal["duration", "moment", "condition"] = param(
        "Wait",
        "Attendre",
        default="duration",
        options={
            "duration": Text("for a while", "un certain temps"),
            "moment": Text("until a moment", "jusqu’à un moment"),
            "condition": Text("until something is so", "qu’une condition soit remplie"),
        },
    )
    amount: float | None = param(
        "How long", "Combien de temps", default=None, gt=0, le=100_000, asked_when=_FOR, placeholder="15"
    )
    unit: Literal["seconds", "minutes", "hours", "days"] = param(
        "Unit",
        "Unité",
        default="minutes",
        options={
            "seconds": Text("seconds", "secondes"),
            "minutes": Text("minutes", "minutes"),
            "hours": Text("hours", "heures"),
            "days": Text("days", "jours"),
        },
        asked_when=_FOR,
    )
    moment: str | None = param(
        "Moment",
        "Moment",
        help_en="Date, time and time zone: 2030-01-31T09:00:00+01:00. A moment that is past is not waited for.",
        help_fr="Date, heure et fuseau, par exemple 2030-01-31T09:00:00+01:00. Un moment passé n’est pas attendu.",
        default=None,
        max_length=200,
        placeholder="{{ inputs.first_day }}T09:00:00+01:00",
        asked_when=_AT,
    )
    read: str | None = param(
        "Look at",
        "Consulter",
        help_en="The action that reads what is waited for.",
        help_fr="L’action qui lit ce qui est attendu.",
        default=None,
        max_length=128,
        widget="read_action",
        asked_when=_UNTIL,
    )
    read_params: dict[str, Any] = param(
        "With",
        "Avec",
        help_en="The parameters of that action.",
        help_fr="Les paramètres de cette action.",
        default_factory=dict,
        widget="key_values",
        max_length=100,
        asked_when=_UNTIL,
    )
    expression: str | None = param(
        "Until",
        "Jusqu’à ce que",
        help_en="True or false; found is what the action has read, such as found.enabled == false.",
        help_fr="Vrai ou faux ; found est ce que l’action a lu, par exemple found.enabled == false.",
        default=None,
        widget="expression",
        placeholder="found.enabled == false",
        max_length=4096,
        asked_when=_UNTIL,
    )
    every_s: float = param(
        "Look every (seconds)",
        "Consulter toutes les (secondes)",
        default=30,
        ge=5,
        le=86_400,
        asked_when=_UNTIL,
    )
    backoff: Literal["fixed", "growing"] = param(
        "Pace",
        "Rythme",
        default="fixed",
        options={
            "fixed": Text("always the same", "toujours le même"),
            "growing": Text("more and more seldom", "de plus en plus espacé"),
        },
        asked_when=_UNTIL,
    )
    deadline_hours: float = param(
        "At most (hours)",
        "Au plus (heures)",
        help_en="After that the step leaves by timeout.",
        help_fr="Passé ce délai, l’étape sort par délai.",
        default=24,
        gt=0,
        le=8760,
        asked_when=_UNTIL,
    )


class WaitOutput(Output):
    timed_out: bool | None = param("Timed out", "Délai dépassé", default=None)
    found: Any = Field(default=None, title="Found", json_schema_extra={"x-title": {"en": "Found", "fr": "Trouvé"}})


_WAITED = {"timed_out": False, "found": None}


class Wait(FlowStep[WaitParams]):
    """Waits without holding anything: the run is given back until its time comes. A plan goes on by ``next``."""

    id = "flow.wait"
    title = Text("Wait", "Attendre")
    summary = Text(
        "Wait for a while, until a moment, or until something is so.",
        "Attend un certain temps, un moment donné, ou qu’une condition soit remplie.",
    )
    icon = "hourglass"
    ports = ("next", "timeout")
    Params = WaitParams
    Output = WaitOutput
    expressions: ClassVar = {"expression": "bool"}
    polls = Polls(action="read", params="read_params", until="expression")

    def decide(self, params: WaitParams, view: View) -> Answer:
        if params.mode == "duration":
            return self._for(params, view)
        if params.mode == "moment":
            return self._at(params, view)
        if not params.read or not params.expression:
            return Failure("Say what to look at and what to wait for.", code="nothing_to_wait_for")
        if view.mode == "plan":
            found = Unknown(f"steps.{view.node}.output.found")
            return Decision(output={"timed_out": Unknown(f"steps.{view.node}.output.timed_out"), "found": found})
        return Poll(
            action=params.read,
            params=params.read_params,
            expression=params.expression,
            every_s=params.every_s,
            deadline_s=params.deadline_hours * 3600,
            slows=params.backoff == "growing",
        )

    def _for(self, params: WaitParams, view: View) -> Answer:
        if view.mode == "plan":
            return Decision(output=_WAITED)
        if params.amount is None:
            return Failure("Say how long to wait.", code="nothing_to_wait_for")
        return Sleep(seconds=params.amount * _SECONDS[params.unit], output=_WAITED)

    def _at(self, params: WaitParams, view: View) -> Answer:
        if view.mode == "plan" and contains_unknown(params.moment):
            return Decision(output=_WAITED)
        try:
            moment = datetime.fromisoformat(params.moment or "")
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            message = f"{params.moment!r} is no moment; write date, time and time zone: 2030-01-31T09:00:00+01:00."
            return Failure(message, code="not_a_moment")
        return Decision(output=_WAITED) if view.mode == "plan" else Sleep(until=moment, output=_WAITED)
