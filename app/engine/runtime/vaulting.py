"""Secrets that a step makes: generated and kept in the vault before the step acts, shown once by a person's doing.

When the step is undone its secrets open nothing any more, so what nobody has seen yet is withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol
from uuid import UUID, uuid5

from pydantic import SecretStr
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import utcnow
from app.core.errors import Unavailable
from app.data.models.approvals import Reveal
from app.data.repositories import audit
from app.data.session import after_commit, tenant_session
from app.engine.runtime.record import Record
from connectors.base import SecretSpec
from connectors.errors import Retryable

_KEPT_FOR = timedelta(days=14)
_WITHDRAW = text("""
    UPDATE reveals SET expires_at = clock_timestamp(), link_hash = NULL
     WHERE client_id = :client AND run_id = :run AND node = :node
       AND revealed_at IS NULL AND expires_at > clock_timestamp()
 RETURNING id, vault_path
""")


class SecretStore(Protocol):
    """The part of the vault that the engine uses."""

    async def put_secret(self, client_id: UUID, path: str, value: str) -> None: ...

    async def get_secret(self, client_id: UUID, path: str) -> str: ...

    async def delete_secret(self, client_id: UUID, path: str) -> None: ...


async def prepare(vault: SecretStore, record: Record, node: str, specs: Sequence[SecretSpec]) -> dict[str, SecretStr]:
    """The values of a step's secrets: the same at every attempt of a run, so that a lost answer loses no password.

    Raises Retryable where the vault does not answer: nothing has been sent to the platform yet.
    """
    try:
        return {spec.name: SecretStr(await _one(vault, record, node, spec)) for spec in specs}
    except Unavailable as error:
        raise Retryable(error.message, code="vault_unavailable") from error


async def _one(vault: SecretStore, record: Record, node: str, spec: SecretSpec) -> str:
    # A step inside another one is called each[3].create, which is no name for the vault.
    path = f"run/{record.run_id}/{node.replace('[', '-').replace('].', '-')}/{spec.name}"
    reveal_id = uuid5(record.run_id, f"secret:{node}:{spec.name}")
    async with tenant_session(record.client_id) as session:
        if await session.get(Reveal, (record.client_id, reveal_id)):
            return await vault.get_secret(record.client_id, path)
    value = spec.generate()
    await vault.put_secret(record.client_id, path, value)
    async with tenant_session(record.client_id) as session:
        session.add(
            Reveal(
                client_id=record.client_id,
                id=reveal_id,
                run_id=record.run_id,
                node=node,
                name=spec.name,
                title=spec.title.as_json(),
                vault_path=path,
                expires_at=utcnow() + _KEPT_FOR,
            )
        )
    return value


async def withdraw(session: AsyncSession, vault: SecretStore, record: Record, node: str) -> None:
    """For an undo, in the transaction that records it: the secrets that ``node`` made are shown to nobody any more."""
    if record.origin is None:
        return
    run_id = UUID(record.origin.run["id"])
    asked = {"client": record.client_id, "run": run_id, "node": node}
    for reveal_id, path in (await (await session.connection()).execute(_WITHDRAW, asked)).all():
        details = {"run": run_id, "node": node, "undo": record.run_id}
        target = f"reveal:{reveal_id}"
        await audit.record(session, record.on_behalf, action="secret_withdrawn", target=target, details=details)
        # The link is dead whatever becomes of this: a vault that is away must not hold up an undo.
        after_commit(session, partial(vault.delete_secret, record.client_id, path))
