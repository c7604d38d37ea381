"""Remove a user from groups: some, or all."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from connectors.base import Change, Json, Params, Planned, Risk, Text, World, param
from connectors.m365.actions.common import GROUP_CHOICES, user_param
from connectors.m365.actions.members import (
    CATEGORY,
    OBSTACLES,
    MemberAction,
    MemberOutput,
    keyed,
    references,
    refuse_unchangeable,
    target_of,
)
from connectors.m365.actions.state import difference, subject
from connectors.m365.client import M365Client
from connectors.m365.directory import Group, find_person, groups_of, person_in, resolve_groups


class RemoveMember(MemberAction):
    """With ``all``, groups that cannot be changed from here are kept and named."""

    id = "m365.group.remove_member"
    title = Text("Remove from groups", "Retirer de groupes")
    summary = Text("The user is not a member of these groups.", "L’utilisateur n’est pas membre de ces groupes.")
    category = CATEGORY
    icon = "user-round-minus"
    risk = Risk.MEDIUM
    permissions = ("User.Read.All", "GroupMember.ReadWrite.All")

    class Params(Params):
        user: str = user_param()
        all: bool = param("All groups of the user", "Tous les groupes de l’utilisateur", default=False)
        groups: list[str] = param("Groups", "Groupes", default_factory=list, live=GROUP_CHOICES, max_length=100)

        @model_validator(mode="after")
        def _some_or_all(self) -> RemoveMember.Params:
            if self.all == bool(self.groups):
                raise ValueError("groups: choose some, or all of the user's")
            return self

    Output = MemberOutput

    async def plan(self, client: M365Client, params: Params, world: World) -> Planned:
        person, fields = await person_in(client, params.user, world)
        joined = keyed(await groups_of(client, person.id)) if person else {}
        upn = str(fields["user_principal_name"])
        chosen, note = await self._chosen(client, params, joined)
        ids = {group.id for group in joined.values()}
        present = world.over(target_of(upn), {name: group.id in ids for name, group in chosen.items()}) or {}
        leaving = {name: group for name, group in chosen.items() if present[name]}
        refuse_unchangeable(leaving.values())
        change = difference(
            target_of(upn), str(fields.get("display_name") or upn), {n: present[n] for n in chosen},
            dict.fromkeys(chosen, False), note,
        )  # fmt: skip
        known: Json = {
            "user_principal_name": upn,
            "changed": references(leaving),
            "groups": sorted(set(joined) - set(leaving)),
        }
        return Planned(change, {"id": person.id, **known} if person else known)

    async def _chosen(
        self, client: M365Client, params: Any, joined: dict[str, Group]
    ) -> tuple[dict[str, Group], Text | None]:
        if not params.all:
            return keyed(await resolve_groups(client, params.groups)), None
        changeable = {name: group for name, group in joined.items() if group.obstacle is None}
        return changeable, _kept({name: group for name, group in joined.items() if group.obstacle})

    async def hints(self, client: M365Client, params: Any, change: Change) -> Json:
        """Ids of the groups. Of those that a lost attempt has already left, only the name is known."""
        names = list(change.after or {})
        if not params.all:
            chosen = keyed(await resolve_groups(client, params.groups))
        else:
            person = await find_person(client, subject(change))
            chosen = keyed(await groups_of(client, person.id)) if person else {}
            chosen |= {name: await _by_key(client, name) for name in names if name not in chosen}
        return {"changed": references({name: chosen[name] for name in names})}


async def _by_key(client: M365Client, key: str) -> Group:
    """The group of a change's field: by its name, or by the id behind it."""
    (found,) = await resolve_groups(client, [key])
    return found


def _kept(kept: dict[str, Group]) -> Text | None:
    """Which groups stay, and why."""
    if not kept:
        return None
    reasons = {name: OBSTACLES[str(group.obstacle)] for name, group in kept.items()}
    return Text(
        "Stays in: " + ", ".join(f"{name} ({why.en})" for name, why in reasons.items()) + ".",
        "Reste dans : " + ", ".join(f"{name} ({why.fr})" for name, why in reasons.items()) + ".",
    )
