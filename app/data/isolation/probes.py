"""Attempts to cross from one client to another, made with a process's own login and rolled back.

Two clients are made up, each with a row in every tenant table, inside one transaction that never commits. Then one
tries to read, add, change and delete what is the other's: through each table and through each partition by name. A
refusal (42501) and an empty answer are both right; anything else is a leak.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql

from app.core.ids import new_id
from app.data import roles
from app.data.isolation.catalogue import Catalogue, Connection, Relation
from app.data.isolation.report import Report
from app.data.isolation.rules import GLOBAL_FOREIGN_KEYS
from app.data.isolation.sample import Samples, insert, prepare
from app.data.rls import ACCOUNT_SETTING, TENANT_SETTING

# Not allowed; not allowed for anybody (the audit); a key that is taken.
REFUSED, NEVER, TAKEN = "42501", "OL002", "23505"
_SET = "SELECT set_config(%s, %s, true)"


class Outcome(NamedTuple):
    """What a statement did: how many rows it met, or why it was refused."""

    rows: int
    error: psycopg.Error | None = None

    @property
    def sqlstate(self) -> str | None:
        return self.error.sqlstate if self.error else None

    @property
    def nothing(self) -> bool:
        return self.sqlstate in (REFUSED, NEVER) or (self.error is None and self.rows == 0)


class Prober:
    """Tries everything as ``who``, a login role, through ``connection``, which is inside a transaction.

    ``connection`` is signed in as that role, or as a superuser that has entered it (SET ROLE).
    """

    def __init__(self, connection: Connection, catalogue: Catalogue, who: str) -> None:
        self.connection = connection
        self.catalogue = catalogue
        self.who = who
        self.report = Report()
        self.first, self.second = new_id(), new_id()
        self.samples: Samples

    async def run(self) -> Report:
        """Make all attempts. The caller rolls back."""
        self.samples = await prepare(self.connection, self.catalogue)
        await self._without_a_client("before any client was entered")
        for client in (self.first, self.second):
            await self._fill(client)
        for mine, theirs in ((self.second, self.first), (self.first, self.second)):
            await self._enter(mine)
            for table in self._filled(mine, theirs):
                await self._cross(table, mine, theirs)
                if not table.parent:
                    await self._point(table.name, mine, theirs)
        await self._collide()
        await self.connection.execute(_SET, [TENANT_SETTING, ""])
        await self._without_a_client("with an empty setting")
        await self._overview()
        return self.report

    async def _fill(self, client: UUID) -> None:
        """A client and its rows, written as the client itself."""
        await self._enter(client)
        for table in self.samples.order:
            row = self.samples.make(client, table)
            done = await self._try(*insert(table, row), keep=True)
            self._check(done.error is None and done.rows == 1, f"cannot add its own row to {table}: {done.error}")
            if done.error is None:
                self.samples.keep(client, table, row)

    def _filled(self, *clients: UUID) -> list[Relation]:
        """Tables and partitions in which each of ``clients`` has a row."""
        return [
            table
            for table in self.catalogue.tenant_tables
            if all((client, table.parent or table.name) in self.samples.rows for client in clients)
        ]

    async def _cross(self, table: Relation, mine: UUID, theirs: UUID) -> None:
        name = sql.Identifier(table.name)
        own = await self._try(sql.SQL("SELECT FROM public.{} WHERE client_id = %s").format(name), [mine])
        if not table.parent:
            self._check(own.rows == 1, f"sees {own.rows} of its own rows in {table.name}")
        seen = await self._try(sql.SQL("SELECT FROM public.{} WHERE client_id <> %s").format(name), [mine])
        self._leak(seen.nothing, f"reads {seen.rows} rows of other clients in {table.name}")
        again = self.samples.make(theirs, table.parent or table.name)
        added = await self._try(*insert(table.name, again))
        self._leak(added.sqlstate == REFUSED, f"adds a row to another client in {table.name}")
        for column in await self._columns(table):
            where = sql.SQL("UPDATE public.{} SET {} = {} WHERE client_id = %s").format(name, column, column)
            changed = await self._try(where, [theirs])
            self._leak(changed.nothing, f"changes {changed.rows} rows of another client in {table.name}")
        moved = await self._try(sql.SQL("UPDATE public.{} SET client_id = %s").format(name), [theirs])
        self._leak(moved.nothing, f"moves its rows of {table.name} to another client")
        gone = await self._try(sql.SQL("DELETE FROM public.{} WHERE client_id = %s").format(name), [theirs])
        self._leak(gone.nothing, f"deletes {gone.rows} rows of another client in {table.name}")

    async def _columns(self, table: Relation) -> Sequence[sql.Identifier]:
        """The key, which nobody may change for others, and one column that this role may change."""
        cursor = await self.connection.execute(
            "SELECT a.attname FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0"
            " AND NOT a.attisdropped AND has_column_privilege(a.attrelid, a.attnum, 'UPDATE')"
            " AND a.attname <> 'client_id' ORDER BY a.attnum LIMIT 1",
            [f"public.{table.name}"],
        )
        row = await cursor.fetchone()
        return [sql.Identifier("client_id"), *([sql.Identifier(row[0])] if row else [])]

    async def _point(self, table: str, mine: UUID, theirs: UUID) -> None:
        """Foreign keys are checked without row-level security: they must carry the client."""
        for key in self.samples.foreign_keys[table]:
            parent, row = self.samples.rows[theirs, key.target], self.samples.make(mine, table)
            foreign = {
                name: parent[other]
                for name, other in zip(key.columns, key.target_columns, strict=True)
                if name != "client_id"
            }
            if not foreign or key.name in GLOBAL_FOREIGN_KEYS:
                continue
            pointed = await self._try(*insert(table, row | foreign))
            self._leak(pointed.error is not None, f"points from {table} to another client's {key.target}")

    async def _collide(self) -> None:
        """Keys that hold across clients: a collision is refused without a word about whose it is."""
        for table, column, client in (
            ("clients", "slug", new_id()),
            ("accounts", "email_key", self.second),
            ("accounts", "id", self.second),
            ("sessions", "token_hash", self.second),
        ):
            taken = self.samples.rows.get((self.first, table), {}).get(column)
            await self._enter(client)
            done = await self._try(*insert(table, self.samples.make(client, table) | {column: taken}))
            self._check(done.sqlstate == TAKEN, f"{table}.{column} is not unique: {done.error}")
            detail = done.error.diag.message_detail if done.error else None
            self._leak(detail is None, f"a collision on {table}.{column} tells: {detail}")

    async def _without_a_client(self, when: str) -> None:
        for table in self.catalogue.tenant_tables:
            name = sql.Identifier(table.name)
            seen = await self._try(sql.SQL("SELECT FROM public.{}").format(name), [])
            self._leak(seen.nothing, f"{when}: reads {seen.rows} rows of {table.name}")
            changed = await self._try(sql.SQL("UPDATE public.{} SET client_id = client_id").format(name), [])
            self._leak(changed.nothing, f"{when}: changes {changed.rows} rows of {table.name}")
            gone = await self._try(sql.SQL("DELETE FROM public.{}").format(name), [])
            self._leak(gone.nothing, f"{when}: deletes {gone.rows} rows of {table.name}")
            added = await self._try(*insert(table.name, self.samples.make(new_id(), table.parent or table.name)))
            self._leak(added.sqlstate == REFUSED, f"{when}: adds to {table.name}")

    async def _overview(self) -> None:
        """The web login may list the clients of an account, and only read them; the others may not enter at all."""
        account = self.samples.rows.get((self.first, "memberships"), {}).get("account_id")
        entered = await self._try("SELECT set_config('role', %s, true)", [roles.OVERVIEW], keep=True)
        if self.who != roles.WEB:
            self._leak(entered.sqlstate == REFUSED, f"may become {roles.OVERVIEW}")
            return
        self._check(entered.error is None, f"cannot become {roles.OVERVIEW}: {entered.error}")
        await self.connection.execute(_SET, [ACCOUNT_SETTING, ""])
        await self._overview_sees(None)
        await self.connection.execute(_SET, [ACCOUNT_SETTING, str(account)])
        await self._overview_sees(self.first)

    async def _overview_sees(self, only: UUID | None) -> None:
        for table in self.catalogue.tenant_tables:
            name = sql.Identifier(table.name)
            other = await self._try(
                sql.SQL("SELECT FROM public.{} WHERE client_id IS DISTINCT FROM %s").format(name), [only]
            )
            self._leak(other.nothing, f"an overview reads {other.rows} rows of foreign clients in {table.name}")
            changed = await self._try(sql.SQL("UPDATE public.{} SET client_id = client_id").format(name), [])
            self._leak(changed.sqlstate == REFUSED, f"an overview may change {table.name}")
            gone = await self._try(sql.SQL("DELETE FROM public.{}").format(name), [])
            self._leak(gone.sqlstate == REFUSED, f"an overview may delete rows of {table.name}")
            granted = any(grant.role == roles.OVERVIEW for grant in self.catalogue.grants_of[table.name])
            if only and granted:
                own = await self._try(sql.SQL("SELECT FROM public.{} WHERE client_id = %s").format(name), [only])
                self._check(own.rows == 1, f"an overview sees {own.rows} rows of the account's client in {table.name}")

    async def _enter(self, client: UUID) -> None:
        await self.connection.execute(_SET, [TENANT_SETTING, str(client)])

    async def _try(self, statement: Any, values: Sequence[Any], *, keep: bool = False) -> Outcome:
        """Run one statement and, unless it is to ``keep``, take back what it did."""
        try:
            async with self.connection.transaction(force_rollback=not keep):
                cursor = await self.connection.execute(statement, values)
                return Outcome(cursor.rowcount)
        except psycopg.Error as error:
            return Outcome(0, error)

    def _check(self, holds: bool, what: str) -> None:
        self.report.check(holds, f"{self.who}: {what}")

    def _leak(self, holds: bool, what: str) -> None:
        self.report.check(holds, f"{self.who}: {what}", leak=True)
