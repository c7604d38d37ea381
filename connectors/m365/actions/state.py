"""Actions that set fields of something that stays: compare, write the difference, put it back.

Every field of such a change has a value before and one after. That makes an interrupted write harmless: each field is
then as before or as planned, and doing the rest finishes it.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from connectors.base import Applied, Attempt, Change, Done, Json, Text, UndoPlan, World, WriteAction
from connectors.errors import NotFound, OutcomeUnknown
from connectors.m365.client import M365Client
from connectors.m365.directory import Person, user_target
from connectors.m365.settle import until


def difference(target: str, label: str, before: Json, after: Json, note: Text | None = None) -> Change:
    """The change from ``before`` to ``after``: only the fields that differ; of kind ``none`` when none does."""
    names = [name for name in after if before.get(name) != after[name]]
    if not names:
        return Change(kind="none", target=target, label=label, before=before, after=before, note=note)
    old = {name: before.get(name) for name in names}
    return Change(kind="update", target=target, label=label, before=old, after={n: after[n] for n in names}, note=note)


@dataclass(frozen=True)
class Seen:
    """One look at a user: the present values of a change's fields, and what later steps would get."""

    person: Person
    fields: Json
    output: Json


class StateAction(WriteAction[M365Client, Any]):
    """The half that such actions share. ``hints`` is the output recorded so far: it holds ids that names may lack."""

    @abstractmethod
    async def see(self, client: M365Client, change: Change, hints: Json) -> Seen | None:
        """How the change's fields are now; None when the user is gone."""

    @abstractmethod
    async def write(self, client: M365Client, change: Change, attempt: Attempt, seen: Seen, hints: Json) -> None:
        """Make the fields as ``change.after`` says, starting from ``seen``. What is already so is no error."""

    async def hints(self, client: M365Client, params: Any, change: Change) -> Json:
        """Ids that ``params`` lead to, for a first application."""
        return {}

    async def apply(self, client: M365Client, params: Any, change: Change, attempt: Attempt) -> Applied:
        hints = await self.hints(client, params, change)
        return await self._make_so(client, change, attempt, hints)

    async def undo(self, client: M365Client, done: Done, change: Change, attempt: Attempt) -> Applied:
        return await self._make_so(client, change, attempt, done.output)

    async def _make_so(self, client: M365Client, change: Change, attempt: Attempt, hints: Json) -> Applied:
        seen = await self.see(client, change, hints)
        if seen is None:
            raise NotFound(f"There is no user {subject(change)} in this tenant.", field="user")
        await self.write(client, change, attempt, seen, hints)
        return await self.settled(client, change, attempt, hints)

    async def settled(
        self, client: M365Client, change: Change, attempt: Attempt, hints: Json, *, adopted: bool = False
    ) -> Applied:
        """The change, once reads show it."""
        wanted = change.after or {}
        seen = await until(
            client,
            attempt,
            lambda: self.see(client, change, hints),
            lambda found: found is not None and found.fields == wanted,
            change.target,
        )
        assert seen is not None
        return Applied(change, seen.output, adopted)

    async def recover(self, client: M365Client, params: Any, change: Change, attempt: Attempt) -> Applied | None:
        return await self._look(client, change, await self.hints(client, params, change))

    async def recover_undo(self, client: M365Client, done: Done, change: Change, attempt: Attempt) -> Applied | None:
        return await self._look(client, change, done.output)

    async def _look(self, client: M365Client, change: Change, hints: Json) -> Applied | None:
        """What a lost attempt did: all of it, or nothing that doing it again would not finish."""
        seen, before, after = await self.see(client, change, hints), change.before or {}, change.after or {}
        if seen is not None and seen.fields == after:
            return Applied(change, seen.output, adopted=True)
        if seen is not None and all(seen.fields[name] in (before.get(name), after[name]) for name in after):
            return None
        raise OutcomeUnknown(
            f"The answer to this step was lost and {change.target} is now neither as before nor as planned.",
            details={"found": seen.fields if seen else None},
        )

    async def plan_undo(self, client: M365Client, done: Done, world: World | None = None) -> UndoPlan:
        change = done.change
        recorded, wanted = change.after or {}, change.before or {}
        seen = await self.see(client, change, done.output)
        world = world or World()
        if seen is None and not world.creates(user_target(subject(change))):
            return self.undo_of_gone(change)
        # A user that the same undo restores first comes back as this step left it.
        present = seen.fields if seen else recorded
        shown = world.over(change.target, present) or present
        found = {name: shown.get(name, present[name]) for name in recorded}
        drift = {
            name: {"expected": recorded[name], "found": found[name]}
            for name in recorded
            if found[name] not in (recorded[name], wanted.get(name))
        }
        await self.check_undo(client, change, found, world)
        back = {name: wanted.get(name) for name in recorded}
        return UndoPlan(difference(change.target, change.label, found, back), drift or None)

    async def check_undo(self, client: M365Client, change: Change, found: Json, world: World) -> None:
        """Raise where the platform would refuse the way back (no seat left)."""

    def undo_of_gone(self, change: Change) -> UndoPlan:
        """What undo means when the user is no longer there."""
        raise NotFound(f"{change.target} is gone: there is nothing on which to undo this.")


def subject(change: Change) -> str:
    """The key in a change's target."""
    return change.target.partition(":")[2]
