"""End a user's sessions everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from connectors.base import (
    Applied,
    Attempt,
    Change,
    Json,
    Output,
    Params,
    Planned,
    Risk,
    Text,
    World,
    WriteAction,
)
from connectors.errors import NotFound
from connectors.m365.actions.common import CATEGORY, user_param
from connectors.m365.client import M365Client
from connectors.m365.directory import Person, find_person, person_in, user_target
from connectors.m365.settle import until

VALID_FROM = "sessions_valid_from"
WHY_NOT = Text(
    "Ended sessions cannot be brought back: the person signs in again.",
    "Une session fermée ne peut pas être rouverte : la personne se reconnecte.",
)


class RevokeSessions(WriteAction[M365Client, Any]):
    """Acts every time: there is always a session that may have begun since the last time."""

    id = "m365.user.revoke_sessions"
    title = Text("Revoke sessions", "Révoquer les sessions")
    summary = Text(
        "Signs the user out of every device and application.",
        "Déconnecte l’utilisateur de tous ses appareils et applications.",
    )
    category = CATEGORY
    icon = "log-out"
    risk = Risk.MEDIUM
    reversible = False
    irreversible_reason = WHY_NOT
    permissions = ("User.ReadWrite.All",)
    field_words: ClassVar[Mapping[str, Text]] = {
        "sessions_revoked": Text("Sessions ended", "Sessions fermées"),
        VALID_FROM: Text("Sessions valid since", "Sessions valables depuis"),
    }

    class Params(Params):
        user: str = user_param()

    class Output(Output):
        id: str
        user_principal_name: str
        sessions_valid_from: str

    async def plan(self, client: M365Client, params: Params, world: World) -> Planned:
        person, present = await person_in(client, params.user, world)
        upn = str(present["user_principal_name"])
        change = Change(
            kind="update",
            target=user_target(upn),
            label=str(present.get("display_name") or upn),
            before={"sessions_revoked": False, VALID_FROM: person.sessions_valid_from if person else None},
            after={"sessions_revoked": True},
            reversible=False,
            irreversible_reason=WHY_NOT,
            volatile=(VALID_FROM,),
        )
        known = {"user_principal_name": upn}
        return Planned(change, {"id": person.id, **known} if person else known)

    async def apply(self, client: M365Client, params: Params, change: Change, attempt: Attempt) -> Applied:
        async def send(graph: Any, configuration: Any) -> Any:
            return await graph.users.by_user_id(params.user).revoke_sign_in_sessions.post(configuration)

        await client.write("revoke sessions", attempt, send)
        person = await until(
            client, attempt, lambda: find_person(client, params.user), lambda seen: _is_later(seen, change),
            f"the end of the sessions of {params.user}",
        )  # fmt: skip
        assert person is not None
        return self._done(person, change)

    async def recover(self, client: M365Client, params: Params, change: Change, attempt: Attempt) -> Applied | None:
        person = await find_person(client, params.user)
        if person is None:
            raise NotFound(f"There is no user {params.user} in this tenant.", field="user")
        return self._done(person, change, adopted=True) if _is_later(person, change) else None

    def _done(self, person: Person, change: Change, *, adopted: bool = False) -> Applied:
        """The change with the moment that Entra ID chose."""
        moment = person.sessions_valid_from or ""
        after: Json = {"sessions_revoked": True, VALID_FROM: moment}
        output = {"id": person.id, "user_principal_name": person.upn, VALID_FROM: moment}
        return Applied(change.model_copy(update={"after": after}), output, adopted)


def _is_later(person: Person | None, change: Change) -> bool:
    """Whether sessions were revoked since the change was planned."""
    if person is None or not person.sessions_valid_from:
        return False
    before = (change.before or {}).get(VALID_FROM)
    if not before:
        return True
    return datetime.fromisoformat(person.sessions_valid_from) > datetime.fromisoformat(str(before))
