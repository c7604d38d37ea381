"""One of several ways on, by expressions."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from app.engine.core.events import UNKNOWN_PORT
from app.engine.core.values import Unknown
from app.engine.steps.base import Answer, Decision, FlowStep, View
from connectors.base import Output, Params, Text, param

DEFAULT = "default"


class Case(BaseModel):
    """One way on and the expression that takes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    name: str = param("Name", "Nom", min_length=1, max_length=64, placeholder="engineering")
    when: str = param(
        "Taken when",
        "Prise lorsque",
        widget="expression",
        placeholder="inputs.department == 'Engineering'",
        min_length=1,
        max_length=4096,
    )


class SwitchParams(Params):
    cases: tuple[Case, ...] = param(
        "Cases",
        "Cas",
        help_en="The first case that is true is taken; where none is, the way called default.",
        help_fr="Le premier cas vrai est pris ; si aucun ne l’est, la voie nommée default.",
        widget="rows",
        min_length=1,
        max_length=50,
    )


class SwitchOutput(Output):
    case: str | None = param("Case", "Cas", default=None)


class Switch(FlowStep[SwitchParams]):
    """Goes on by the first case that is true, by ``default`` where none is.

    While planning, a case that cannot be decided yet plans every way as "maybe".
    """

    id = "flow.switch"
    title = Text("Switch", "Aiguillage")
    summary = Text(
        "Take one of several ways, by expressions.", "Prend l’une de plusieurs voies, selon des expressions."
    )
    icon = "git-branch"
    ports = (DEFAULT,)
    ports_from = "cases"
    Params = SwitchParams
    Output = SwitchOutput

    def decide(self, params: SwitchParams, view: View) -> Answer:
        for case in params.cases:
            answer = view.evaluate_bool(case.when)
            if isinstance(answer, Unknown):
                return Decision(UNKNOWN_PORT, {"case": Unknown(case.when)})
            if answer:
                return Decision(case.name, {"case": case.name})
        return Decision(DEFAULT, {"case": DEFAULT})
