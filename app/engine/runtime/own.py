"""Opsloom's own data of a run's client, as its steps read and write it: under row-level security, and fenced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.data.models.clients import Client
from app.data.session import tenant_session
from app.engine.runtime.dispatch import Claim
from app.engine.runtime.store import Store
from connectors.errors import Conflict

Json = dict[str, Any]


@dataclass(frozen=True)
class OwnVariables:
    """The client's variables within the reach of one claimed run."""

    store: Store
    claim: Claim

    @property
    def client_id(self) -> UUID:
        return self.claim.client_id

    async def variables(self) -> Mapping[str, Any]:
        """The variables as they are now."""
        async with tenant_session(self.client_id) as session:
            return dict((await self._row(session)).variables)

    async def set_variable(self, name: str, before: Json | None, after: Json | None) -> None:
        """Set a variable, or remove it, in one transaction with the proof that the run is still ours.

        Raises Conflict where the variable is no longer as ``before``, FenceLost where another worker has the run.
        """

        async def work(session: AsyncSession) -> None:
            row = await self._row(session, lock=True)
            present = {"value": row.variables[name]} if name in row.variables else None
            if present != before:
                raise Conflict(f"{name} has been changed meanwhile.", code="variable_moved", field="name")
            rest = {key: value for key, value in row.variables.items() if key != name}
            row.variables = rest if after is None else {**rest, name: after["value"]}
            session.add(row)

        await self.store.commit_with(self.claim, self.store.parameters(self.claim), [work])

    async def aclose(self) -> None:
        """Nothing is held."""

    async def _row(self, session: AsyncSession, *, lock: bool = False) -> Client:
        query = select(Client).where(Client.client_id == self.client_id)
        return (await session.exec(query.with_for_update(key_share=True) if lock else query)).one()
