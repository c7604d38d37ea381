"""Assign licences to a user."""

from __future__ import annotations

from connectors.base import Change, Json, Params, Planned, Risk, Text, World, param
from connectors.errors import Rejected
from connectors.m365.actions.common import LICENCE_CHOICES, user_param
from connectors.m365.actions.licences import (
    CATEGORY,
    LicenceAction,
    LicenceOutput,
    held,
    parts_in,
    refuse_without_seat,
    target_of,
)
from connectors.m365.actions.state import difference
from connectors.m365.client import M365Client
from connectors.m365.directory import Person, Sku, choose_skus, person_in, skus


class AssignLicence(LicenceAction):
    """A licence that a group already gives counts as held."""

    id = "m365.licence.assign"
    title = Text("Assign licences", "Attribuer des licences")
    summary = Text(
        "The user holds these licences. It costs a seat of each that is not held yet.",
        "L’utilisateur détient ces licences. Chacune qui manque prend une place.",
    )
    category = CATEGORY
    icon = "badge-plus"
    risk = Risk.MEDIUM
    permissions = ("User.ReadWrite.All", "Organization.Read.All")

    class Params(Params):
        user: str = user_param()
        licences: list[str] = param("Licences", "Licences", live=LICENCE_CHOICES, min_length=1, max_length=50)

    Output = LicenceOutput

    async def plan(self, client: M365Client, params: Params, world: World) -> Planned:
        person, fields = await person_in(client, params.user, world)
        available = await skus(client)
        chosen = choose_skus(available, params.licences)
        upn = str(fields["user_principal_name"])
        present = world.over(target_of(upn), held(person, available)) or {}
        missing = [sku for sku in chosen if present.get(sku.part) is not True and not _inherits(person, sku)]
        if missing and not fields.get("usage_location"):
            raise Rejected(
                f"{upn} has no usage location: Microsoft assigns no licence without one.",
                field="user",
                code="no_usage_location",
            )
        for sku in missing:
            refuse_without_seat(sku, world)
        after = {sku.part: True for sku in missing}
        change = _change(target_of(upn), str(fields.get("display_name") or upn), chosen, after)
        known: Json = {"user_principal_name": upn, "licences": parts_in({**present, **after})}
        return Planned(change, {"id": person.id, **known} if person else known)


def _inherits(person: Person | None, sku: Sku) -> bool:
    return person is not None and sku.id in person.inherited


def _change(target: str, label: str, chosen: list[Sku], after: Json) -> Change:
    if not after:
        present = {sku.part: True for sku in chosen}
        return Change(kind="none", target=target, label=label, before=present, after=present)
    return difference(target, label, dict.fromkeys(after, False), after)
