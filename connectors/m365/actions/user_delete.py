"""Delete a user; undo takes the account back out of the recycle bin."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from connectors.base import (
    Applied,
    Attempt,
    Change,
    Done,
    Json,
    Output,
    Params,
    Planned,
    Risk,
    Text,
    UndoPlan,
    World,
    WriteAction,
    words_of,
)
from connectors.errors import NotFound
from connectors.m365.actions import licences, members
from connectors.m365.actions.common import CATEGORY, RECYCLE_BIN, user_param
from connectors.m365.actions.user_fields import refuse_synced
from connectors.m365.actions.user_update import UpdateUser
from connectors.m365.client import PAGE, M365Client
from connectors.m365.directory import FIELDS, Person, deleted_person, find_person, groups_of, skus, user_target
from connectors.m365.settle import until


class DeleteUser(WriteAction[M365Client, Any]):
    """Entra ID keeps the account, its groups and its licences for 30 days."""

    id = "m365.user.delete"
    title = Text("Delete a user", "Supprimer un utilisateur")
    summary = Text(
        "Moves the account to the recycle bin. Undo restores it within 30 days.",
        "Place le compte dans la corbeille. L’annulation le restaure dans les 30 jours.",
    )
    category = CATEGORY
    icon = "user-x"
    risk = Risk.HIGH
    field_words: ClassVar[Mapping[str, Text]] = words_of(UpdateUser.Params) | licences.LicenceAction.field_words
    permissions = ("User.ReadWrite.All", "GroupMember.Read.All", "Organization.Read.All")

    class Params(Params):
        user: str = user_param()

    class Output(Output):
        id: str
        user_principal_name: str

    async def plan(self, client: M365Client, params: Params, world: World) -> Planned:
        person = await find_person(client, params.user)
        target = user_target(person.upn if person else params.user)
        present = world.over(target, person.fields if person else None)
        if present is None and person is not None:
            # An earlier step of this plan deletes it.
            return _nothing_left(target, person.id, person.upn)
        if present is None:
            return await _already_gone(client, params.user, target)
        refuse_synced(person, present)
        before = await _image(client, person, present, world)
        label = str(present.get("display_name") or params.user)
        change = Change(kind="delete", target=target, label=label, before=before, note=RECYCLE_BIN)
        known = {"user_principal_name": present["user_principal_name"]}
        return Planned(change, {"id": person.id, **known} if person else known)

    async def apply(self, client: M365Client, params: Params, change: Change, attempt: Attempt) -> Applied:
        person = await find_person(client, params.user)
        if person is None:
            raise NotFound(f"There is no user {params.user} in this tenant.", field="user")
        await delete_until_gone(client, person.id, attempt)
        return Applied(change, {"id": person.id, "user_principal_name": person.upn})

    async def recover(self, client: M365Client, params: Params, change: Change, attempt: Attempt) -> Applied | None:
        if await find_person(client, params.user) is not None:
            return None
        gone = await _in_bin(client, params.user)
        if gone is None:
            raise NotFound(f"{params.user} is neither in this tenant nor in its recycle bin.", field="user")
        upn = str((change.before or {})["user_principal_name"])
        return Applied(change, {"id": gone["id"], "user_principal_name": upn}, adopted=True)

    async def plan_undo(self, client: M365Client, done: Done, world: World | None = None) -> UndoPlan:
        change = done.change
        if await find_person(client, done.output["id"]) is not None:
            return UndoPlan(Change(kind="none", target=change.target, label=change.label))
        if await deleted_person(client, done.output["id"]) is None:
            raise NotFound(f"{change.target} is no longer in the recycle bin: it cannot be restored.")
        back = Change(kind="create", target=change.target, label=change.label, after=change.before)
        return UndoPlan(back, await _seats_gone(client, change.before or {}, world or World()))

    async def undo(self, client: M365Client, done: Done, change: Change, attempt: Attempt) -> Applied:
        user_id = done.output["id"]

        async def send(graph: Any, configuration: Any) -> Any:
            return await graph.directory.deleted_items.by_directory_object_id(user_id).restore.post(configuration)

        await client.write("restore user", attempt, send)
        person = await until(
            client, attempt, lambda: find_person(client, user_id), lambda seen: seen is not None, change.target
        )
        assert person is not None
        # Entra ID leaves out a licence without a seat and a group that is gone: say what did come back.
        return Applied(change.model_copy(update={"after": await _image(client, person, person.fields, World())}))

    async def recover_undo(self, client: M365Client, done: Done, change: Change, attempt: Attempt) -> Applied | None:
        back = await find_person(client, done.output["id"]) is not None
        return Applied(change, adopted=True) if back else None


async def delete_until_gone(client: M365Client, user_id: str, attempt: Attempt) -> None:
    """Delete by id. One that is already gone is fine: an earlier attempt did it."""

    async def send(graph: Any, configuration: Any) -> Any:
        return await graph.users.by_user_id(user_id).delete(configuration)

    with suppress(NotFound):
        await client.write("delete user", attempt, send)
    await until(
        client, attempt, lambda: find_person(client, user_id), lambda seen: seen is None, f"m365.user:{user_id}"
    )


async def _seats_gone(client: M365Client, image: Json, world: World) -> Json | None:
    """Drift: the licences that the account had and that have no seat for it any more."""
    full = {sku.part for sku in await skus(client) if licences.free_seats(sku, world) < 1}
    lost = sorted(full.intersection(image.get("licences", ())))
    kept = sorted(set(image.get("licences", ())) - full)
    return {"licences": {"expected": image["licences"], "found": kept}} if lost else None


async def _image(client: M365Client, person: Person | None, fields: Json, world: World) -> Json:
    """The account as a change shows it: the fields that are set, the licences and the groups."""
    upn = str(fields["user_principal_name"])
    joined = members.keyed(await groups_of(client, person.id)) if person else {}
    held = licences.held(person, await skus(client))
    return {
        **{name: fields[name] for name in FIELDS if fields.get(name) is not None},
        "licences": licences.parts_in(world.over(licences.target_of(upn), held) or {}),
        "groups": licences.parts_in(world.over(members.target_of(upn), dict.fromkeys(joined, True)) or {}),
    }


async def _already_gone(client: M365Client, key: str, target: str) -> Planned:
    """Nothing to do where the recycle bin has the account; a name that was never there is a mistake."""
    gone = await _in_bin(client, key)
    if gone is None:
        raise NotFound(f"There is no user {key} in this tenant.", field="user")
    return _nothing_left(target, gone["id"], _former_name(gone))


def _nothing_left(target: str, user_id: str, upn: str) -> Planned:
    change = Change(kind="none", target=target, label=upn, note=RECYCLE_BIN)
    return Planned(change, {"id": user_id, "user_principal_name": upn})


async def _in_bin(client: M365Client, key: str) -> Json | None:
    """The deleted account that had this name or id."""
    rows = await client.pages(
        "list deleted users",
        lambda graph: graph.directory.deleted_items.graph_user,
        select=["id", "userPrincipalName"],
        top=PAGE,
    )
    wanted = key.lower()
    return next((row for row in rows if wanted in (row["id"], _former_name(row).lower())), None)


def _former_name(row: Json) -> str:
    """Entra ID puts the id, without its dashes, before the name of what it deletes."""
    return str(row["userPrincipalName"]).removeprefix(row["id"].replace("-", ""))
