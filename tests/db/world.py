"""Clients, workflows and runs for tests of the database, made by the superuser, and workers that claim them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

import psycopg

from app.core.ids import new_id
from app.data import doors
from app.data.commits import Write, engine_commit

Connection = psycopg.AsyncConnection


@dataclass(frozen=True)
class Company:
    """A client with one workflow of one version, and an account whose home it is."""

    client_id: UUID = field(default_factory=new_id)
    workflow_id: UUID = field(default_factory=new_id)
    account_id: UUID = field(default_factory=new_id)

    @property
    def slug(self) -> str:
        return f"c-{self.client_id.hex}"


async def company(superuser: Connection) -> Company:
    made = Company()
    client, workflow = made.client_id, made.workflow_id
    await superuser.execute("INSERT INTO clients (client_id, slug, name) VALUES (%s, %s, 'C')", (client, made.slug))
    await superuser.execute(
        "INSERT INTO accounts (client_id, id, email, email_key, name) VALUES (%s, %s, %s, %s, 'A')",
        (client, made.account_id, f"A@{made.slug}", f"a@{made.slug}"),
    )
    await superuser.execute(
        "INSERT INTO memberships (client_id, account_id, role) VALUES (%s, %s, 'owner')", (client, made.account_id)
    )
    await superuser.execute("INSERT INTO workflows (client_id, id, name) VALUES (%s, %s, 'W')", (client, workflow))
    await superuser.execute(
        "INSERT INTO workflow_versions (client_id, workflow_id, version, document, hash) VALUES (%s, %s, 1, '{}', 'h')",
        (client, workflow),
    )
    return made


async def runs(superuser: Connection, of: Company, count: int = 1, *, queued: bool = True) -> list[UUID]:
    """Runs of the company's workflow, ready to be claimed where ``queued``."""
    ids = [new_id() for _ in range(count)]
    await superuser.execute(
        "INSERT INTO runs (client_id, id, workflow_id, version, document_hash, mode)"
        " SELECT %s, unnest(%s::uuid[]), %s, 1, 'h', 'apply'",
        (of.client_id, ids, of.workflow_id),
    )
    if queued:
        await superuser.execute(
            "INSERT INTO run_queue (client_id, run_id, ready_at, due) SELECT %s, unnest(%s::uuid[]), now(), true",
            (of.client_id, ids),
        )
    return ids


@dataclass
class Worker:
    """A worker process, as the database knows it."""

    connection: Connection
    id: UUID = field(default_factory=new_id)

    async def register(self, ttl_s: float = 60) -> Worker:
        await doors.register_worker(self.connection, self.id, "test", "worker", ttl_s)
        return self

    async def claim(self, limit: int = 10, spare: int = 0) -> list[doors.Claim]:
        return await doors.claim_runs(self.connection, self.id, limit, spare)

    async def commit(self, claim: doors.Claim, seqs: Iterable[int] = (), **patches: object) -> int:
        events = [{"seq": seq, "node": "n", "kind": "intent", "attempt": 1, "payload": {"s": seq}} for seq in seqs]
        # Whoever names a patch that there is not learns so from Write itself.
        write = Write(claim, events, **patches)  # type: ignore[arg-type]
        return (await engine_commit(self.connection, self.id, write)).woken


async def value(connection: Connection, query: str, *values: object) -> object:
    """The one value that a query gives, or None."""
    row = await (await connection.execute(query, values)).fetchone()  # type: ignore[arg-type]
    return row[0] if row else None
