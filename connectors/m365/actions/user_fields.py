"""What actions share that set fields of a user."""

from __future__ import annotations

from typing import Any

from connectors.base import Attempt, Change, Json
from connectors.errors import Rejected
from connectors.m365.actions.common import user_output
from connectors.m365.actions.state import Seen, StateAction, subject
from connectors.m365.client import M365Client
from connectors.m365.directory import FIELDS, Person, find_person

# Entra ID masters these even for accounts that come from a local directory.
CLOUD_FIELDS = {"usage_location"}


class UserFieldsAction(StateAction):
    """Sets fields of a user that is there."""

    async def see(self, client: M365Client, change: Change, hints: Json) -> Seen | None:
        person = await find_person(client, hints.get("id") or subject(change))
        if person is None:
            return None
        fields = {name: person.fields[name] for name in change.after or {}}
        return Seen(person, fields, self.output_of(person, change))

    async def write(self, client: M365Client, change: Change, attempt: Attempt, seen: Seen, hints: Json) -> None:
        await patch(client, seen.person.id, change.after or {}, attempt)

    def output_of(self, person: Person, change: Change) -> Json:
        return user_output(person, person.fields)


def refuse_synced(person: Person | None, fields: Json) -> None:
    """Raise ``Rejected`` where a local directory masters the account and would overwrite us."""
    if person is not None and person.synced and set(fields) - CLOUD_FIELDS:
        raise Rejected(
            f"{person.upn} is mastered in the on-premises directory: change it there.",
            field="user",
            code="mastered_elsewhere",
        )


async def patch(client: M365Client, user_id: str, fields: Json, attempt: Attempt) -> None:
    """Set ``fields`` of a user; None empties one."""
    from msgraph.generated.models.user import User

    # The SDK leaves out what is None; only additional data is written as null.
    empty = {FIELDS[name]: None for name, value in fields.items() if value is None}
    user = User(additional_data=empty)
    fill(user, {name: value for name, value in fields.items() if value is not None})

    async def send(graph: Any, configuration: Any) -> Any:
        return await graph.users.by_user_id(user_id).patch(user, configuration)

    await client.write("update user", attempt, send)


def fill(user: Any, fields: Json) -> None:
    """Put ``fields`` into the SDK's model, whose attributes are named as ours are."""
    for name, value in fields.items():
        setattr(user, name, value)
