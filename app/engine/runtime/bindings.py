"""One write, whichever way it goes: a step forwards, or the same step's undo.

The runner plans, compares with the seal, records the intent, acts and recovers through this one shape, so that an undo
gets every guarantee a run has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from app.core.storable import storable, unstorable
from connectors.base import Applied, Attempt, Change, Client, Done, Params, Planned, SecretSpec, World, WriteAction


@dataclass(frozen=True)
class Prospect:
    """What a write would do now: the change, the output it would give, and where an undo finds the present moved."""

    change: Change
    output: dict[str, Any]
    drift: dict[str, Any] | None = None


class Binding(Protocol):
    """A write bound to its client and parameters."""

    @property
    def secrets(self) -> tuple[SecretSpec, ...]: ...

    async def plan(self, world: World) -> Prospect: ...

    async def act(self, change: Change, attempt: Attempt) -> Applied: ...

    async def recover(self, change: Change, attempt: Attempt) -> Applied | None: ...


@dataclass(frozen=True)
class Forward:
    """A step as it was drawn."""

    action: WriteAction[Any, Any]
    client: Client
    params: Params

    @property
    def secrets(self) -> tuple[SecretSpec, ...]:
        return self.action.secrets

    async def plan(self, world: World) -> Prospect:
        planned: Planned = await self.action.plan(self.client, self.params, world)
        return Prospect(change=_kept(planned.change), output=storable(planned.output))

    async def act(self, change: Change, attempt: Attempt) -> Applied:
        return await self.action.apply(self.client, self.params, change, attempt)

    async def recover(self, change: Change, attempt: Attempt) -> Applied | None:
        return await self.action.recover(self.client, self.params, change, attempt)


@dataclass(frozen=True)
class Backward:
    """A step taken back, starting from what was recorded when it was done."""

    action: WriteAction[Any, Any]
    client: Client
    done: Done
    secrets: tuple[SecretSpec, ...] = ()

    async def plan(self, world: World) -> Prospect:
        undo = await self.action.plan_undo(self.client, self.done, world)
        return Prospect(change=_kept(undo.change), output={}, drift=storable(undo.drift))

    async def act(self, change: Change, attempt: Attempt) -> Applied:
        return await self.action.undo(self.client, self.done, change, attempt)

    async def recover(self, change: Change, attempt: Attempt) -> Applied | None:
        return await self.action.recover_undo(self.client, self.done, change, attempt)


def _kept(change: Change) -> Change:
    """The change as it is written down, so that it is sealed, shown and compared as the same one."""
    if unstorable([change.target, change.before, change.after]) is None:
        return change
    return Change.model_validate(storable(change.model_dump(mode="json")))
