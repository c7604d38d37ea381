"""What adding to and removing from groups share: one field for each group, true or false."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from connectors.base import Attempt, Change, Json, Output, Text, UndoPlan
from connectors.errors import NotFound, Rejected
from connectors.m365.actions.state import Seen, StateAction, subject
from connectors.m365.client import M365Client
from connectors.m365.directory import Group, find_person, groups_of
from connectors.m365.settle import each

CATEGORY = "groups"
OBSTACLES = {
    "dynamic": Text("a rule fills it", "une règle le remplit"),
    "synced": Text("it is mastered on-premises", "il est géré sur site"),
    "exchange": Text("only Exchange can change it", "seul Exchange peut le modifier"),
}


class GroupRef(Output):
    """A group that a step changed; undo finds it by its id."""

    id: str
    display_name: str


class MemberOutput(Output):
    """A user, the groups that this step changed, and all that the user is in."""

    id: str
    user_principal_name: str
    changed: list[GroupRef]
    groups: list[str]


def target_of(upn: str) -> str:
    return f"m365.membership:{upn.lower()}"


def keyed(groups: Iterable[Group]) -> dict[str, Group]:
    """Groups by the name of their field: their own name, with the id where two have the same."""
    found = list(groups)
    names = [group.name for group in found]
    return {g.name if names.count(g.name) == 1 else f"{g.name} ({g.id})": g for g in found}


def refuse_unchangeable(groups: Iterable[Group]) -> None:
    """Raise ``Rejected`` on ``groups`` for a group whose members Graph does not change."""
    for group in groups:
        if group.obstacle:
            raise Rejected(
                f"The members of {group.name} cannot be changed here: {OBSTACLES[group.obstacle].en}.",
                field="groups",
                code="unchangeable_group",
            )


def references(groups: dict[str, Group]) -> list[Json]:
    return [{"id": group.id, "display_name": name} for name, group in groups.items()]


class MemberAction(StateAction):
    """Makes a user's memberships as a change says. ``hints["changed"]`` holds the groups' ids."""

    async def see(self, client: M365Client, change: Change, hints: Json) -> Seen | None:
        person = await find_person(client, hints.get("id") or subject(change))
        if person is None:
            return None
        joined, ids = await groups_of(client, person.id), _ids(hints)
        fields = {name: _is_in(name, ids.get(name), joined) for name in change.after or {}}
        changed = [{"id": ids[name], "display_name": name} for name in fields if name in ids]
        groups = sorted(group.name for group in joined)
        output = {"id": person.id, "user_principal_name": person.upn, "changed": changed, "groups": groups}
        return Seen(person, fields, output)

    async def write(self, client: M365Client, change: Change, attempt: Attempt, seen: Seen, hints: Json) -> None:
        ids = _ids(hints)
        moves = [
            partial(_add if wanted else _remove, client, ids[name], seen.person.id, attempt)
            for name, wanted in (change.after or {}).items()
            if seen.fields[name] != wanted
        ]
        await each(client, attempt, moves)

    def undo_of_gone(self, change: Change) -> UndoPlan:
        """Without the user there is no membership to take away; there is nobody to give one back to either."""
        if any((change.before or {}).values()):
            return super().undo_of_gone(change)
        return UndoPlan(Change(kind="none", target=change.target, label=change.label))


def _ids(hints: Json) -> dict[str, str]:
    return {one["display_name"]: one["id"] for one in hints.get("changed", ())}


def _is_in(name: str, group_id: str | None, joined: list[Group]) -> bool:
    if group_id is not None:
        return any(group.id == group_id for group in joined)
    return any(name in (group.name, f"{group.name} ({group.id})") for group in joined)


async def _add(client: M365Client, group_id: str, user_id: str, attempt: Attempt) -> None:
    """Add by reference. Who is already in is fine: an earlier attempt did it."""
    from msgraph.generated.models.reference_create import ReferenceCreate

    body = ReferenceCreate(odata_id=f"{client.base_url}/directoryObjects/{user_id}")

    async def send(graph: Any, configuration: Any) -> Any:
        return await graph.groups.by_group_id(group_id).members.ref.post(body, configuration)

    try:
        await client.write("add group member", attempt, send)
    except Rejected as error:
        if error.code != "already_member":
            raise


async def _remove(client: M365Client, group_id: str, user_id: str, attempt: Attempt) -> None:
    """Remove by reference. Who is no longer in is fine."""

    async def send(graph: Any, configuration: Any) -> Any:
        members = graph.groups.by_group_id(group_id).members
        return await members.by_directory_object_id(user_id).ref.delete(configuration)

    with suppress(NotFound):
        await client.write("remove group member", attempt, send)
