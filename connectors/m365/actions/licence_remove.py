"""Remove licences from a user: some, or all that are held directly."""

from __future__ import annotations

from pydantic import model_validator

from connectors.base import Json, Params, Planned, Risk, Text, World, param
from connectors.errors import Rejected
from connectors.m365.actions.common import LICENCE_CHOICES, user_param
from connectors.m365.actions.licences import CATEGORY, OFF, LicenceAction, LicenceOutput, held, parts_in, target_of
from connectors.m365.actions.state import difference
from connectors.m365.client import M365Client
from connectors.m365.directory import Person, Sku, choose_skus, person_in, skus


class RemoveLicence(LicenceAction):
    """The before-image holds each licence with the service plans that were off: undo gives back exactly that."""

    id = "m365.licence.remove"
    title = Text("Remove licences", "Retirer des licences")
    summary = Text(
        "The user no longer holds these licences. Mailbox and files are kept by Microsoft for 30 days.",
        "L’utilisateur ne détient plus ces licences. Microsoft garde la boîte aux lettres et les fichiers 30 jours.",
    )
    category = CATEGORY
    icon = "badge-minus"
    risk = Risk.HIGH
    permissions = ("User.ReadWrite.All", "Organization.Read.All")

    class Params(Params):
        user: str = user_param()
        all: bool = param("All that the user holds", "Toutes celles de l’utilisateur", default=False)
        licences: list[str] = param("Licences", "Licences", default_factory=list, live=LICENCE_CHOICES, max_length=50)

        @model_validator(mode="after")
        def _some_or_all(self) -> RemoveLicence.Params:
            if self.all == bool(self.licences):
                raise ValueError("licences: choose some, or all that the user holds")
            return self

    Output = LicenceOutput

    async def plan(self, client: M365Client, params: Params, world: World) -> Planned:
        person, fields = await person_in(client, params.user, world)
        available = await skus(client)
        upn = str(fields["user_principal_name"])
        present = world.over(target_of(upn), held(person, available)) or {}
        inherited = [sku for sku in available if person and sku.id in person.inherited and sku.part not in present]
        note = None
        if params.all:
            parts = parts_in(present)
            note = _kept(inherited)
        else:
            chosen = [sku.part for sku in choose_skus(available, params.licences)]
            _refuse_inherited(person, [sku for sku in inherited if sku.part in chosen])
            parts = [part for part in chosen if present.get(part) is True]
        after = _without(present, parts)
        change = difference(target_of(upn), str(fields.get("display_name") or upn), {**present}, after, note)
        known: Json = {"user_principal_name": upn, "licences": parts_in({**present, **after})}
        return Planned(change, {"id": person.id, **known} if person else known)


def _without(present: Json, parts: list[str]) -> Json:
    """The fields once ``parts`` are gone."""
    after: Json = dict.fromkeys(parts, False)
    after.update({part + OFF: [] for part in parts if present.get(part + OFF)})
    return after


def _refuse_inherited(person: Person | None, inherited: list[Sku]) -> None:
    if person is not None and inherited:
        names = ", ".join(sku.part for sku in inherited)
        raise Rejected(
            f"{person.upn} has {names} through a group: remove the user from that group instead.",
            field="licences",
            code="inherited",
        )


def _kept(inherited: list[Sku]) -> Text | None:
    """What stays because a group gives it."""
    if not inherited:
        return None
    names = ", ".join(sku.part for sku in inherited)
    return Text(f"Kept, because a group gives it: {names}.", f"Conservé, car un groupe l’accorde : {names}.")
