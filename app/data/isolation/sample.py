"""A row of every tenant table, made up from the catalogue, so that a new table is tried without anyone adding it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from app.core.ids import new_id
from app.data.isolation.catalogue import SCHEMAS, Catalogue, Connection, ForeignKey


class Column(NamedTuple):
    """A column that a row must give: not null and without a default, or part of the primary key."""

    table: str
    name: str
    type: str
    checks: list[str]


@dataclass
class Samples:
    """How to make rows: the tables in the order of their foreign keys, their columns and keys."""

    order: list[str]
    columns: dict[str, list[Column]]
    foreign_keys: dict[str, list[ForeignKey]]
    rows: dict[tuple[UUID, str], dict[str, Any]] = field(default_factory=dict)

    def make(self, client: UUID, table: str) -> dict[str, Any]:
        """A new row of ``table`` for ``client``, pointing to the rows that were made (:meth:`keep`) before it."""
        row: dict[str, Any] = {column.name: _value(column) for column in self.columns[table]}
        row["client_id"] = client
        for key in self.foreign_keys[table]:
            parent = self.rows.get((client, key.target))
            if parent and all(name in row for name in key.columns):
                row |= {name: parent[other] for name, other in zip(key.columns, key.target_columns, strict=True)}
        return row

    def keep(self, client: UUID, table: str, row: dict[str, Any]) -> None:
        self.rows[client, table] = row


async def prepare(connection: Connection, catalogue: Catalogue) -> Samples:
    """Read what rows need."""
    async with connection.cursor(row_factory=args_row(Column)) as cursor:
        await cursor.execute(_COLUMNS, {"schemas": SCHEMAS})
        found = await cursor.fetchall()
    tables = [table.name for table in catalogue.tenant_tables if not table.parent]
    columns = {table: [column for column in found if column.table == table] for table in tables}
    keys = {table: [key for key in catalogue.foreign_keys if key.table == table] for table in tables}
    return Samples(_in_order(tables, columns, keys), columns, keys)


def insert(table: str, row: dict[str, Any]) -> tuple[sql.Composed, list[Any]]:
    """The statement that writes ``row``."""
    names = sql.SQL(", ").join(map(sql.Identifier, row))
    marks = sql.SQL(", ").join(sql.Placeholder() * len(row))
    statement = sql.SQL("INSERT INTO public.{} ({}) VALUES ({})").format(sql.Identifier(table), names, marks)
    return statement, list(row.values())


def _in_order(tables: list[str], columns: dict[str, list[Column]], keys: dict[str, list[ForeignKey]]) -> list[str]:
    """Parents before children; a foreign key that may stay empty does not count."""
    needed = {table: {column.name for column in columns[table]} for table in tables}
    parents = {
        table: {k.target for k in keys[table] if k.target != table and set(k.columns) <= needed[table]}
        for table in tables
    }
    order: list[str] = []
    while len(order) < len(tables):
        free = [table for table in tables if table not in order and parents[table] <= set(order)]
        if not free:
            raise ValueError(f"tables need each other's rows: {sorted(set(tables) - set(order))}")
        order += free
    return order


def _value(column: Column) -> Any:
    for check in column.checks:
        choice = re.search(rf"\(?{column.name} = ANY \((?:ARRAY\['|'{{)([^',}}]*)", check)
        if choice:
            return choice.group(1)
    mark = new_id()
    made_up = {
        "uuid": mark,
        "text": f"probe-{mark.hex}",
        "bytea": mark.bytes,
        "jsonb": "{}",
        "boolean": False,
        "smallint": 1,
        "integer": 1,
        "bigint": 1,
        "double precision": 1.0,
        "timestamp with time zone": "2026-01-01T00:00:00Z",
    }
    return "{}" if column.type.endswith("[]") else made_up[column.type]


_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
       ARRAY(SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
              WHERE k.conrelid = c.oid AND k.contype = 'c' AND a.attnum = ANY (k.conkey))
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND a.attnum > 0 AND NOT a.attisdropped
   AND ((a.attnotnull AND NOT a.atthasdef)
        OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)))
 ORDER BY c.relname, a.attnum"""
