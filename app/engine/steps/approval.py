"""A question to people, drawn where the workflow's author wants it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from app.engine.steps.base import Answer, Ask, Decision, FlowStep, View
from connectors.base import Output, Params, Text, param


class ApprovalParams(Params):
    title: str = param(
        "Question",
        "Question",
        help_en="What the approver is asked.",
        help_fr="Ce qui est demandé à l’approbateur.",
        min_length=1,
        max_length=500,
    )
    message: str = param("Details", "Détails", default="", widget="textarea", max_length=10_000)
    roles: tuple[str, ...] = param(
        "Who may approve",
        "Qui peut approuver",
        help_en="Roles of the client's members. An empty list means nobody.",
        help_fr="Rôles des membres du client. Une liste vide signifie personne.",
        default=("approver",),
        widget="multiselect",
        min_length=1,
    )
    people: tuple[str, ...] = param(
        "Named people",
        "Personnes désignées",
        help_en="Addresses of members who may approve. Where somebody is named, only they may answer.",
        help_fr="Adresses de membres qui peuvent approuver. Si quelqu’un est désigné, lui seul peut répondre.",
        default=(),
        max_length=50,
    )
    count: int = param("Approvals needed", "Approbations requises", default=1, ge=1, le=20)
    deadline_hours: float | None = param(
        "Hours to answer",
        "Heures pour répondre",
        help_en="Empty: it waits as long as it takes.",
        help_fr="Vide : l’attente n’a pas de limite.",
        default=None,
        gt=0,
        le=8760,
    )
    on_deadline: Literal["deny", "approve"] = param(
        "When nobody answers in time",
        "Si personne ne répond à temps",
        help_en="Silence means yes only where the client's approval policy allows it.",
        help_fr="Le silence ne vaut oui que si la règle d’approbation du client le permet.",
        default="deny",
        options={"deny": Text("it is not approved", "refusé"), "approve": Text("it is approved", "approuvé")},
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

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.people and self.count > len({person.strip().lower() for person in self.people}):
            raise ValueError("more approvals are needed than people are named")
        return self


class ApprovalOutput(Output):
    approved: bool | None = param("Approved", "Approuvé", default=None)
    by: tuple[str, ...] = param("Decided by", "Décidé par", default=())
    reason: str | None = param("Reason", "Motif", default=None)


class Approval(FlowStep[ApprovalParams]):
    """Asks, waits, and goes on by ``approved`` or ``denied``. A plan goes on by ``approved``."""

    id = "flow.approval"
    title = Text("Approval", "Approbation")
    summary = Text("Wait until somebody says yes or no.", "Attend que quelqu’un dise oui ou non.")
    icon = "user-check"
    ports = ("approved", "denied")
    asks_people = True
    Params = ApprovalParams
    Output = ApprovalOutput

    def decide(self, params: ApprovalParams, view: View) -> Answer:
        if view.mode == "plan":
            return Decision("approved", {"approved": True})
        hours = params.deadline_hours
        return Ask(
            title=params.title,
            message=params.message,
            roles=params.roles,
            count=params.count,
            deadline_s=None if hours is None else hours * 3600,
            people=params.people,
            silence=params.on_deadline,
            remind_s=None if params.remind_hours is None else params.remind_hours * 3600,
        )
