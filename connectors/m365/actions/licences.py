"""What assigning and removing licences share: one field for each licence, true or false."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from connectors.base import Attempt, Change, Json, Output, Text, UndoPlan, World
from connectors.errors import Rejected
from connectors.m365.actions.state import Seen, StateAction, subject
from connectors.m365.client import M365Client
from connectors.m365.directory import Person, Sku, find_person, skus
from connectors.m365.products import NAMES, name_of

CATEGORY = "licences"
TARGET = "m365.licence:"
# Beside the field of a licence: the service plans in it that are switched off, where there are any.
OFF = ".disabled_plans"


class LicenceOutput(Output):
    """A user and the licences held directly."""

    id: str
    user_principal_name: str
    licences: list[str]


def target_of(upn: str) -> str:
    return f"{TARGET}{upn.lower()}"


def held(person: Person | None, available: Iterable[Sku]) -> Json:
    """The direct licences as fields: part number → True, and the plans that are off."""
    found: Json = {}
    known = {sku.id: sku for sku in available}
    for sku_id, off in person.licences.items() if person else ():
        sku = known.get(sku_id)
        part = sku.part if sku else sku_id
        found[part] = True
        if off:
            found[part + OFF] = sorted(sku.plans.get(plan, plan) if sku else plan for plan in off)
    return found


def parts_in(fields: Json) -> list[str]:
    """The part numbers that are true."""
    return sorted(name for name, value in fields.items() if value is True)


def free_seats(sku: Sku, world: World) -> int:
    """Seats that are free once the earlier steps of this plan have taken and given theirs."""
    changes = world.planned(TARGET)
    taken = sum((c.after or {}).get(sku.part) is True and (c.before or {}).get(sku.part) is not True for c in changes)
    given = sum((c.after or {}).get(sku.part) is False and (c.before or {}).get(sku.part) is True for c in changes)
    return sku.total - sku.taken - taken + given


def refuse_without_seat(sku: Sku, world: World) -> None:
    """Raise ``Rejected`` on ``licences`` where no seat is left."""
    if free_seats(sku, world) < 1:
        raise Rejected(
            f"No seat of {name_of(sku.part)} is left: all {sku.total} are taken.",
            field="licences",
            code="no_seat",
            details={
                "sku": sku.part,
                "name": name_of(sku.part),
                "total": sku.total,
                "taken": sku.total - free_seats(sku, world),
            },
        )


class LicenceAction(StateAction):
    """Makes a user's direct licences as a change says."""

    field_words: ClassVar[Mapping[str, Text]] = {part: Text(name, name) for part, name in NAMES.items()}

    async def see(self, client: M365Client, change: Change, hints: Json) -> Seen | None:
        person = await find_person(client, hints.get("id") or subject(change))
        if person is None:
            return None
        present = held(person, await skus(client))
        fields = {name: present.get(name, [] if name.endswith(OFF) else False) for name in change.after or {}}
        output = {"id": person.id, "user_principal_name": person.upn, "licences": parts_in(present)}
        return Seen(person, fields, output)

    async def write(self, client: M365Client, change: Change, attempt: Attempt, seen: Seen, hints: Json) -> None:
        available = {sku.part: sku for sku in await skus(client)}
        after = change.after or {}
        wanted = {name: available[name] for name in after if name in available}
        add = [(sku, after.get(part + OFF) or []) for part, sku in wanted.items() if after[part]]
        remove = [sku.id for part, sku in wanted.items() if not after[part] and seen.fields[part]]
        if add or remove:
            await _assign(client, seen.person.id, add, remove, attempt)

    async def check_undo(self, client: M365Client, change: Change, found: Json, world: World) -> None:
        """Giving a licence back needs a seat, which an earlier step of the same undo may free."""
        back = [name for name, value in (change.before or {}).items() if value is True and not found[name]]
        for sku in await skus(client) if back else ():
            if sku.part in back:
                refuse_without_seat(sku, world)

    def undo_of_gone(self, change: Change) -> UndoPlan:
        """Without the user there is no licence to take away; there is nobody to give one back to either."""
        if any(value is True for value in (change.before or {}).values()):
            return super().undo_of_gone(change)
        return UndoPlan(Change(kind="none", target=change.target, label=change.label))


async def _assign(
    client: M365Client, user_id: str, add: list[tuple[Sku, list[str]]], remove: list[str], attempt: Attempt
) -> None:
    """One call for all. A licence that is no longer there to remove is fine."""
    from uuid import UUID

    from msgraph.generated.models.assigned_license import AssignedLicense
    from msgraph.generated.users.item.assign_license.assign_license_post_request_body import (
        AssignLicensePostRequestBody,
    )

    body = AssignLicensePostRequestBody(
        add_licenses=[AssignedLicense(sku_id=UUID(sku.id), disabled_plans=_plan_ids(sku, off)) for sku, off in add],
        remove_licenses=[UUID(sku_id) for sku_id in remove],
    )

    async def send(graph: Any, configuration: Any) -> Any:
        return await graph.users.by_user_id(user_id).assign_license.post(body, configuration)

    try:
        await client.write("assign licences", attempt, send)
    except Rejected as error:
        if error.code != "not_held":
            raise


def _plan_ids(sku: Sku, names: list[str]) -> list[Any]:
    from uuid import UUID

    ids = {name: plan_id for plan_id, name in sku.plans.items()}
    return [UUID(ids.get(name, name)) for name in names]
