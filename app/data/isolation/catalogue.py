"""What the database says of itself: relations, policies, grants, functions, keys. Any login may read it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import args_row

Connection = psycopg.AsyncConnection[Any]
SCHEMAS = ["public", "doors"]


class Relation(NamedTuple):
    """A table, partition or view. ``kind`` is pg_class.relkind; ``parent`` the table that a partition is of."""

    name: str
    kind: str
    parent: str | None
    forced: bool
    owner: str
    tenant: bool
    invoker: bool


class Policy(NamedTuple):
    """A policy; ``verb`` is ALL, SELECT, INSERT, UPDATE or DELETE."""

    table: str
    name: str
    verb: str
    permissive: bool
    roles: list[str]
    using: str | None
    checked: str | None


class Grant(NamedTuple):
    """A right on a relation, or on some of its columns."""

    table: str
    role: str
    verb: str


class Function(NamedTuple):
    """A function of ours. ``settings`` is its SET clauses, ``callers`` the roles that may execute it."""

    schema: str
    name: str
    definer: bool
    owner: str
    settings: list[str]
    callers: list[str]


class Key(NamedTuple):
    """An index of a tenant table, by its columns."""

    table: str
    name: str
    unique: bool
    columns: list[str]


class ForeignKey(NamedTuple):
    """A foreign key: columns and the columns they meet, in the same order."""

    table: str
    name: str
    columns: list[str]
    target: str
    target_columns: list[str]


@dataclass(frozen=True)
class Catalogue:
    """All of it, as one snapshot."""

    relations: list[Relation]
    policies: list[Policy]
    grants: list[Grant]
    functions: list[Function]
    keys: list[Key]
    foreign_keys: list[ForeignKey]

    @cached_property
    def policies_of(self) -> dict[str, list[Policy]]:
        found: dict[str, list[Policy]] = defaultdict(list)
        for policy in self.policies:
            found[policy.table].append(policy)
        return found

    @cached_property
    def grants_of(self) -> dict[str, list[Grant]]:
        found: dict[str, list[Grant]] = defaultdict(list)
        for grant in self.grants:
            found[grant.table].append(grant)
        return found

    @property
    def tables(self) -> list[Relation]:
        """Ordinary and partitioned tables, partitions included."""
        return [relation for relation in self.relations if relation.kind in "rp"]

    @property
    def tenant_tables(self) -> list[Relation]:
        return [relation for relation in self.tables if relation.tenant]


async def read(connection: Connection) -> Catalogue:
    """Read the catalogue of the database that ``connection`` leads to."""
    return Catalogue(
        relations=await _all(connection, Relation, _RELATIONS),
        policies=await _all(connection, Policy, _POLICIES),
        grants=await _all(connection, Grant, _GRANTS),
        functions=await _all(connection, Function, _FUNCTIONS),
        keys=await _all(connection, Key, _KEYS),
        foreign_keys=await _all(connection, ForeignKey, _FOREIGN_KEYS),
    )


async def _all(connection: Connection, kind: type[Any], query: str) -> list[Any]:
    async with connection.cursor(row_factory=args_row(kind)) as cursor:
        await cursor.execute(query, {"schemas": SCHEMAS})
        return await cursor.fetchall()


_RELATIONS = """
SELECT c.relname, c.relkind::text, p.relname, c.relrowsecurity AND c.relforcerowsecurity, o.rolname,
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'client_id' AND NOT a.attisdropped),
       coalesce('security_invoker=true' = ANY (c.reloptions) OR 'security_invoker=on' = ANY (c.reloptions), false)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
 WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
 ORDER BY c.relname"""
_POLICIES = """
SELECT c.relname, p.polname,
       CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                     ELSE 'ALL' END,
       p.polpermissive,
       ARRAY(SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END
               FROM unnest(p.polroles) r ORDER BY 1)::text[],
       pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY (%(schemas)s) ORDER BY c.relname, p.polname"""
_GRANTS = """
SELECT c.relname, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END, x.privilege_type
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) x
 WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND x.grantee <> c.relowner
UNION
SELECT c.relname, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END, x.privilege_type
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
       aclexplode(a.attacl) x
 WHERE n.nspname = ANY (%(schemas)s) AND x.grantee <> c.relowner
 ORDER BY 1, 2, 3"""
_FUNCTIONS = """
SELECT n.nspname, f.proname, f.prosecdef, pg_get_userbyid(f.proowner), coalesce(f.proconfig, '{}'),
       ARRAY(SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END
               FROM aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) x
              WHERE x.grantee <> f.proowner ORDER BY 1)::text[]
  FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
 WHERE n.nspname = ANY (%(schemas)s) ORDER BY f.proname"""
_KEYS = """
SELECT c.relname, k.relname, i.indisunique,
       ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY u (number, place)
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number ORDER BY u.place)::text[]
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class k ON k.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY (%(schemas)s) AND NOT c.relispartition ORDER BY k.relname"""
_FOREIGN_KEYS = """
SELECT c.relname, f.conname,
       ARRAY(SELECT a.attname FROM unnest(f.conkey) WITH ORDINALITY u (number, place)
               JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = u.number ORDER BY u.place)::text[],
       t.relname,
       ARRAY(SELECT a.attname FROM unnest(f.confkey) WITH ORDINALITY u (number, place)
               JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = u.number ORDER BY u.place)::text[]
  FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class t ON t.oid = f.confrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY (%(schemas)s) AND f.contype = 'f' AND f.conparentid = 0 ORDER BY f.conname"""
