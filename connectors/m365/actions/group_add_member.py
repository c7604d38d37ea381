"""Add a user to groups."""

from __future__ import annotations

from typing import Any

from connectors.base import Change, Json, Params, Planned, Risk, Text, World, param
from connectors.m365.actions.common import GROUP_CHOICES, user_param
from connectors.m365.actions.members import (
    CATEGORY,
    MemberAction,
    MemberOutput,
    keyed,
    references,
    refuse_unchangeable,
    target_of,
)
from connectors.m365.actions.state import difference
from connectors.m365.client import M365Client
from connectors.m365.directory import groups_of, person_in, resolve_groups


class AddMember(MemberAction):
    """Groups are named, so that the same workflow runs for another client whose groups have other ids."""

    id = "m365.group.add_member"
    title = Text("Add to groups", "Ajouter à des groupes")
    summary = Text("The user is a member of these groups.", "L’utilisateur est membre de ces groupes.")
    category = CATEGORY
    icon = "user-round-plus"
    risk = Risk.MEDIUM
    permissions = ("User.Read.All", "GroupMember.ReadWrite.All")

    class Params(Params):
        user: str = user_param()
        groups: list[str] = param("Groups", "Groupes", live=GROUP_CHOICES, min_length=1, max_length=100)

    Output = MemberOutput

    async def plan(self, client: M365Client, params: Params, world: World) -> Planned:
        person, fields = await person_in(client, params.user, world)
        chosen = keyed(await resolve_groups(client, params.groups))
        joined = keyed(await groups_of(client, person.id)) if person else {}
        upn = str(fields["user_principal_name"])
        ids = {group.id for group in joined.values()}
        present = world.over(target_of(upn), {name: group.id in ids for name, group in chosen.items()}) or {}
        missing = {name: group for name, group in chosen.items() if not present[name]}
        refuse_unchangeable(missing.values())
        change = difference(
            target_of(upn), str(fields.get("display_name") or upn), {n: present[n] for n in chosen},
            dict.fromkeys(chosen, True),
        )  # fmt: skip
        known: Json = {
            "user_principal_name": upn,
            "changed": references(missing),
            "groups": sorted({*joined, *chosen, *(name for name, value in present.items() if value)}),
        }
        return Planned(change, {"id": person.id, **known} if person else known)

    async def hints(self, client: M365Client, params: Any, change: Change) -> Json:
        chosen = keyed(await resolve_groups(client, params.groups))
        return {"changed": references({name: group for name, group in chosen.items() if name in (change.after or {})})}
