"""Block a user's sign-in, and allow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from connectors.base import Params, Planned, Risk, Text, World
from connectors.m365.actions.common import CATEGORY, UserOutput, user_output, user_param
from connectors.m365.actions.state import difference
from connectors.m365.actions.user_fields import UserFieldsAction, refuse_synced
from connectors.m365.client import M365Client
from connectors.m365.directory import person_in, user_target


class _SetAccess(UserFieldsAction):
    """``enabled`` is what should be true afterwards."""

    enabled: ClassVar[bool]
    category = CATEGORY
    permissions = ("User.ReadWrite.All",)
    field_words: ClassVar[Mapping[str, Text]] = {"account_enabled": Text("May sign in", "Peut se connecter")}

    class Params(Params):
        user: str = user_param()

    Output = UserOutput

    async def plan(self, client: M365Client, params: Params, world: World) -> Planned:
        person, present = await person_in(client, params.user, world)
        label = str(present.get("display_name") or params.user)
        target = user_target(str(present["user_principal_name"]))
        now = {"account_enabled": bool(present.get("account_enabled"))}
        change = difference(target, label, now, {"account_enabled": self.enabled})
        if change.writes:
            refuse_synced(person, change.after or {})
        return Planned(change, user_output(person, {**present, "account_enabled": self.enabled}))


class DisableUser(_SetAccess):
    """Sessions that are open go on until they are revoked or end by themselves."""

    id = "m365.user.disable"
    title = Text("Block sign-in", "Bloquer la connexion")
    summary = Text("The user can no longer sign in.", "L’utilisateur ne peut plus se connecter.")
    icon = "user-minus"
    risk = Risk.MEDIUM
    enabled = False


class EnableUser(_SetAccess):
    """The user may sign in again."""

    id = "m365.user.enable"
    title = Text("Allow sign-in", "Autoriser la connexion")
    summary = Text("The user can sign in.", "L’utilisateur peut se connecter.")
    icon = "user-check"
    risk = Risk.MEDIUM
    enabled = True
