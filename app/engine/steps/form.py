"""Something that only a person knows, asked with a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from app.engine.core.inputs import check_inputs
from app.engine.core.values import Unknown
from app.engine.steps.base import Answer, Decision, Failure, Fill, FlowStep, View
from connectors.base import Params, Text, param


class FormParams(Params):
    title: str = param(
        "Title",
        "Titre",
        help_en="What people are asked for.",
        help_fr="Ce qui est demandé.",
        min_length=1,
        max_length=500,
    )
    message: str = param("Details", "Détails", default="", widget="textarea", max_length=10_000)
    fields: dict[str, Any] = param(
        "Fields",
        "Champs",
        help_en="Never ask for a secret: answers are kept with the run.",
        help_fr="Ne demandez jamais de secret : les réponses restent avec l’exécution.",
        widget="schema",
        min_length=1,
    )
    roles: tuple[str, ...] = param(
        "Who may answer",
        "Qui peut répondre",
        help_en="Roles of the client's members.",
        help_fr="Rôles des membres du client.",
        default=("engineer",),
        widget="multiselect",
        min_length=1,
    )
    people: tuple[str, ...] = param(
        "Named people",
        "Personnes désignées",
        help_en="Addresses of members. Where somebody is named, only they may answer.",
        help_fr="Adresses de membres. Si quelqu’un est désigné, lui seul peut répondre.",
        default=(),
        max_length=50,
    )
    deadline_hours: float | None = param(
        "Hours to answer",
        "Heures pour répondre",
        help_en="Empty: it waits as long as it takes.",
        help_fr="Vide : l’attente n’a pas de limite.",
        default=None,
        gt=0,
        le=8760,
    )
    on_deadline: Literal["timeout", "default"] = param(
        "When nobody answers in time",
        "Si personne ne répond à temps",
        default="timeout",
        options={
            "timeout": Text("leave by timeout", "sortir par délai"),
            "default": Text("take this answer", "prendre cette réponse"),
        },
    )
    default: dict[str, Any] = param(
        "That answer",
        "Cette réponse",
        default_factory=dict,
        widget="key_values",
        max_length=100,
        asked_when=("on_deadline", "default"),
    )
    remind_hours: float | None = param(
        "Remind (hours before)",
        "Rappeler (heures avant)",
        help_en="Those who may answer are reminded that long before the deadline.",
        help_fr="Les personnes concernées reçoivent un rappel ce temps avant l’échéance.",
        default=None,
        gt=0,
        le=8760,
    )


class Form(FlowStep[FormParams]):
    """Waits until somebody has filled in a form; the answer is its output. A plan goes on with the answer unknown."""

    id = "flow.form"
    title = Text("Form", "Formulaire")
    summary = Text("Ask people to fill in a form.", "Demande à quelqu’un de remplir un formulaire.")
    icon = "file-text"
    ports = ("next", "timeout")
    output_from = "fields"
    asks_people = True
    Params = FormParams

    def decide(self, params: FormParams, view: View) -> Answer:
        names = params.fields.get("properties") if isinstance(params.fields, Mapping) else None
        if view.mode == "plan":
            known = names if isinstance(names, Mapping) else {}
            return Decision(output={name: Unknown(f"steps.{view.node}.output.{name}") for name in known})
        default = None
        if params.on_deadline == "default":
            default, problems = check_inputs(params.fields, params.default, "default")
            if problems:
                return Failure(problems[0].message, code="bad_default", details={"field": problems[0].field})
        hours, remind = params.deadline_hours, params.remind_hours
        return Fill(
            title=params.title,
            message=params.message,
            fields=params.fields,
            roles=params.roles,
            people=params.people,
            deadline_s=None if hours is None else hours * 3600,
            remind_s=None if remind is None else remind * 3600,
            default=default,
        )
