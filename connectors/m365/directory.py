"""What actions read of a tenant, in our own words: people, their licences and groups, subscriptions, domains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.base import Json, World
from connectors.errors import NotFound, Rejected
from connectors.m365.client import PAGE, M365Client
from connectors.m365.config import GUID

# Our names of a user's fields, and Graph's.
FIELDS = {
    "user_principal_name": "userPrincipalName",
    "display_name": "displayName",
    "given_name": "givenName",
    "surname": "surname",
    "job_title": "jobTitle",
    "department": "department",
    "company_name": "companyName",
    "office_location": "officeLocation",
    "mobile_phone": "mobilePhone",
    "employee_id": "employeeId",
    "city": "city",
    "country": "country",
    "preferred_language": "preferredLanguage",
    "usage_location": "usageLocation",
    "mail_nickname": "mailNickname",
    "account_enabled": "accountEnabled",
}
MARKER = "extensionAttribute15"
MARKER_PREFIX = "opsloom:"
SELECT = [
    "id", "mail", *FIELDS.values(), "onPremisesExtensionAttributes", "onPremisesSyncEnabled", "licenseAssignmentStates",
    "signInSessionsValidFromDateTime",
]  # fmt: skip
KEY_WITH_ID = re.compile(r" \(([0-9a-fA-F-]{36})\)$")
GROUP_SELECT = ["id", "displayName", "groupTypes", "mailEnabled", "securityEnabled", "onPremisesSyncEnabled"]


@dataclass(frozen=True)
class Person:
    """A user as read. ``licences`` are held directly (with the service plans that are off), ``inherited`` through
    groups; ``marker`` is what Opsloom wrote on an account that it created."""

    id: str
    fields: Json
    mail: str | None
    licences: Mapping[str, tuple[str, ...]]
    inherited: frozenset[str]
    synced: bool
    marker: str | None
    sessions_valid_from: str | None

    @property
    def upn(self) -> str:
        return str(self.fields["user_principal_name"])

    @property
    def name(self) -> str:
        return str(self.fields.get("display_name") or self.upn)


@dataclass(frozen=True)
class Group:
    """A group, and whether its members can be changed through Graph (``obstacle`` says why not)."""

    id: str
    name: str
    kind: str
    dynamic: bool
    obstacle: str | None


@dataclass(frozen=True)
class Sku:
    """A subscription. ``total`` counts seats that can be used, ``taken`` those that are."""

    id: str
    part: str
    total: int
    taken: int
    plans: Mapping[str, str]


def user_target(upn: str) -> str:
    """The target of a change to a user."""
    return f"m365.user:{upn.lower()}"


def is_guid(text: str) -> bool:
    return re.match(GUID, text) is not None


async def find_person(client: M365Client, key: str) -> Person | None:
    """The user by id or principal name, or None."""
    try:
        found = await client.get("read user", lambda graph: graph.users.by_user_id(key), select=SELECT)
    except NotFound:
        return None
    return _person(found)


async def person_in(client: M365Client, key: str, world: World) -> tuple[Person | None, Json]:
    """The user (None: an earlier step of the plan creates it) and its fields as they will be at this step.

    Raises ``NotFound`` on the field ``user`` where there is none, also when an earlier step deletes it.
    """
    person = await find_person(client, key)
    fields = world.over(user_target(person.upn if person else key), person.fields if person else None)
    if fields is None:
        raise NotFound(f"There is no user {key} in this tenant.", field="user")
    return person, fields


async def deleted_person(client: M365Client, user_id: str) -> Json | None:
    """A user in the recycle bin, or None."""
    try:
        return await client.get(
            "read deleted user", lambda g: g.directory.deleted_items.by_directory_object_id(user_id)
        )
    except NotFound:
        return None


def _person(found: Json) -> Person:
    direct: dict[str, tuple[str, ...]] = {}
    inherited: set[str] = set()
    for state in found.get("licenseAssignmentStates") or ():
        if state.get("assignedByGroup"):
            inherited.add(state["skuId"])
        else:
            direct[state["skuId"]] = tuple(sorted(state.get("disabledPlans") or ()))
    attributes = found.get("onPremisesExtensionAttributes") or {}
    return Person(
        id=found["id"],
        fields={ours: found.get(theirs) for ours, theirs in FIELDS.items()},
        mail=found.get("mail"),
        licences=direct,
        inherited=frozenset(inherited),
        synced=bool(found.get("onPremisesSyncEnabled")),
        marker=attributes.get(MARKER),
        sessions_valid_from=found.get("signInSessionsValidFromDateTime"),
    )


async def verified_domains(client: M365Client) -> list[str]:
    """The tenant's verified domains, in lower case, the default one first."""
    found = await client.get(
        "read organization", lambda graph: graph.organization, select=["id", "displayName", "verifiedDomains"]
    )
    domains = sorted(found["value"][0]["verifiedDomains"], key=lambda one: not one.get("isDefault"))
    return [str(one["name"]).lower() for one in domains]


async def skus(client: M365Client) -> list[Sku]:
    """The tenant's subscriptions that are for people."""
    found = await client.pages("list licences", lambda graph: graph.subscribed_skus)
    return [_sku(one) for one in found if one.get("appliesTo", "User") == "User"]


def _sku(found: Json) -> Sku:
    units = found["prepaidUnits"]
    return Sku(
        id=found["skuId"],
        part=found["skuPartNumber"],
        total=int(units.get("enabled") or 0) + int(units.get("warning") or 0),
        taken=int(found.get("consumedUnits") or 0),
        plans={plan["servicePlanId"]: plan["servicePlanName"] for plan in found.get("servicePlans") or ()},
    )


def choose_skus(available: Iterable[Sku], wanted: Iterable[str]) -> list[Sku]:
    """The subscriptions named in ``wanted``, by part number or id. Raises ``Rejected`` on ``licences``."""
    known = {key: sku for sku in available for key in (sku.part.lower(), sku.id)}
    chosen: dict[str, Sku] = {}
    for name in wanted:
        sku = known.get(name.lower())
        if sku is None:
            offered = ", ".join(sorted({one.part for one in known.values()})) or "none"
            raise Rejected(
                f"This tenant has no licence {name}. It has: {offered}.", field="licences", code="no_licence"
            )
        chosen[sku.id] = sku
    return list(chosen.values())


async def groups_of(client: M365Client, user_id: str) -> list[Group]:
    """The groups of which the user is a direct member."""
    found = await client.pages(
        "list the user's groups", lambda g: g.users.by_user_id(user_id).member_of, select=GROUP_SELECT, top=PAGE
    )
    return [group_of(one) for one in found if one.get("@odata.type") == "#microsoft.graph.group"]


async def resolve_groups(client: M365Client, wanted: Iterable[str]) -> list[Group]:
    """The groups named in ``wanted``, by name or id. Raises on ``groups``: ``NotFound``, ``Rejected`` if ambiguous."""
    chosen: dict[str, Group] = {}
    for name in wanted:
        given = KEY_WITH_ID.search(name)
        group_id = given.group(1) if given else name
        group = await (_group_by_id(client, group_id) if is_guid(group_id) else _group_by_name(client, name))
        chosen[group.id] = group
    return list(chosen.values())


async def _group_by_id(client: M365Client, group_id: str) -> Group:
    try:
        found = await client.get("read group", lambda g: g.groups.by_group_id(group_id), select=GROUP_SELECT)
    except NotFound:
        raise NotFound(f"There is no group {group_id} in this tenant.", field="groups") from None
    return group_of(found)


async def _group_by_name(client: M365Client, name: str) -> Group:
    quoted = name.replace("'", "''")
    found = await client.pages(
        "find group", lambda graph: graph.groups, filter=f"displayName eq '{quoted}'", select=GROUP_SELECT
    )
    if not found:
        raise NotFound(f"There is no group named {name} in this tenant.", field="groups")
    if len(found) > 1:
        ids = ", ".join(sorted(str(one["id"]) for one in found))
        raise Rejected(f"Several groups are named {name}; give the id of one: {ids}.", field="groups", code="ambiguous")
    return group_of(found[0])


def group_of(found: Json) -> Group:
    """A group out of Graph's answer."""
    types = found.get("groupTypes") or []
    unified, mail = "Unified" in types, bool(found.get("mailEnabled"))
    if unified:
        kind = "Microsoft 365"
    elif mail:
        kind = "mail-enabled security" if found.get("securityEnabled") else "distribution"
    else:
        kind = "security"
    dynamic = "DynamicMembership" in types
    return Group(found["id"], str(found["displayName"]), kind, dynamic, _obstacle(found, kind, dynamic=dynamic))


def _obstacle(found: Mapping[str, Any], kind: str, *, dynamic: bool) -> str | None:
    """Why Graph would refuse to change the members; None where it would not."""
    if dynamic:
        return "dynamic"
    if found.get("onPremisesSyncEnabled"):
        return "synced"
    return "exchange" if kind in ("distribution", "mail-enabled security") else None
