"""The rules of tenancy, checked against the catalogue: a new table, partition, view or function is judged by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.data import roles
from app.data.doors import CALLERS
from app.data.isolation.catalogue import Catalogue, Connection, Policy, Relation
from app.data.isolation.report import Report
from app.data.rls import ACCOUNT_RULE, OVERVIEW_RULE, TENANT_RULE

# Tables that are nobody's: reached through doors, or by migrations only.
GLOBAL_TABLES = frozenset({"worker_leases", "leaderships", "alembic_version"})
# What identifies something before its client is known, and a person who is the same in each client.
GLOBAL_KEYS = frozenset(
    {
        "accounts_id_key",
        "accounts_email_key_key",
        "clients_slug_key",
        "sessions_token_hash_key",
        "api_tokens_token_hash_key",
    }
)
# Indexes that only doors read, over all clients.
DOOR_INDEXES = frozenset(
    {"memberships_account", "run_queue_timers", "run_queue_worker", "triggers_due", "happenings_ready"}
)
# Only the owner of a table may make and drop its partitions; these take a number and give a number.
OWNERS_DOORS = frozenset({"maintain_partitions", "drop_empty_partitions"})
GLOBAL_FOREIGN_KEYS = frozenset({"memberships_account_id_fkey"})

_TABLE_ROLES = frozenset({roles.APP, roles.DISPATCH, roles.OVERVIEW, roles.DATA})
_VERBS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
_LOCKED_ROLES = (roles.OWNER, roles.DISPATCH, roles.OVERVIEW, roles.DATA, roles.MIGRATE)


def judge(catalogue: Catalogue) -> Report:
    """Check every relation, policy, grant, function and key."""
    report = Report()
    for table in catalogue.tables:
        _judge_table(report, catalogue, table)
    for relation in catalogue.relations:
        _judge_view(report, catalogue, relation)
    _judge_functions(report, catalogue)
    _judge_keys(report, catalogue)
    return report


def _judge_table(report: Report, catalogue: Catalogue, table: Relation) -> None:
    report.check(table.owner == roles.OWNER, f"{table.name}: belongs to {table.owner}, not to {roles.OWNER}")
    if table.name != "alembic_version":
        report.check(table.forced, f"{table.name}: row-level security is not enabled and forced")
    _judge_grants(report, catalogue, table)
    if table.parent:
        same = _rules(catalogue.policies_of[table.name]) == _rules(catalogue.policies_of[table.parent])
        report.check(same, f"{table.name}: its policies are not those of {table.parent}")
    if table.tenant:
        _judge_policies(report, catalogue, table)
    else:
        report.check(table.name in GLOBAL_TABLES, f"{table.name}: has no client_id and is not a known global table")


def _judge_grants(report: Report, catalogue: Catalogue, table: Relation) -> None:
    """Only our table roles are granted anything; of a partition or a global table, tenants' roles nothing."""
    for grant in catalogue.grants_of[table.name]:
        what = f"{table.name}: {grant.role} holds {grant.verb}"
        report.check(grant.role in _TABLE_ROLES, what)
        report.check(grant.verb in _VERBS, what)  # TRUNCATE, REFERENCES and TRIGGER pass by policies
        if grant.role == roles.OVERVIEW:
            report.check(grant.verb == "SELECT", what)
        if table.parent:
            report.check(False, f"{what} on a partition")
        if not table.tenant:
            report.check(grant.role == roles.DISPATCH, what)
    if not table.parent:
        _judge_pairs(report, catalogue, table)


def _judge_pairs(report: Report, catalogue: Catalogue, table: Relation) -> None:
    """For each right that a role holds there is one policy of that role, and no policy stands without a right."""
    granted = {(grant.role, grant.verb) for grant in catalogue.grants_of[table.name]}
    covered: dict[tuple[str, str], int] = {}
    for policy in catalogue.policies_of[table.name]:
        for role in policy.roles:
            for verb in _VERBS if policy.verb == "ALL" else (policy.verb,):
                covered[role, verb] = covered.get((role, verb), 0) + 1
            named = any(holder == role for holder, _ in granted)
            report.check(named, f"{table.name}: policy {policy.name} is for {role}, which holds no right")
    for role, verb in sorted(granted):
        count = covered.get((role, verb), 0)
        report.check(count > 0, f"{table.name}: {role} holds {verb} and no policy is for it")
        report.check(count <= 1, f"{table.name}: {count} policies for {role} and {verb} are joined by OR")


def _judge_policies(report: Report, catalogue: Catalogue, table: Relation) -> None:
    tenants = 0
    for policy in catalogue.policies_of[table.name]:
        what = f"{table.name}: policy {policy.name}"
        report.check(len(policy.roles) == 1 and policy.roles[0] in _TABLE_ROLES, f"{what} is for {policy.roles}")
        report.check(policy.permissive, f"{what} is not permissive")
        if roles.APP in policy.roles or "PUBLIC" in policy.roles:
            tenants += 1
            report.check(policy.verb == "ALL", f"{what} is for {policy.verb} only")
            report.check(_same(policy.using, TENANT_RULE), f"{what} uses {policy.using}")
            report.check(_same(policy.checked, TENANT_RULE), f"{what} checks {policy.checked}")
        if roles.OVERVIEW in policy.roles:
            rule = ACCOUNT_RULE if table.name == "memberships" else OVERVIEW_RULE
            report.check(policy.verb == "SELECT" and policy.checked is None, f"{what} lets an overview write")
            report.check(_same(policy.using, rule), f"{what} uses {policy.using}")
    report.check(tenants == 1, f"{table.name}: {tenants} tenant policies instead of one")


def _judge_view(report: Report, catalogue: Catalogue, relation: Relation) -> None:
    if relation.kind == "v":
        report.check(relation.invoker, f"{relation.name}: a view without security_invoker")
    if relation.kind in "mf":
        granted = [grant.role for grant in catalogue.grants_of[relation.name]]
        report.check(not granted, f"{relation.name}: knows no row-level security and is granted to {granted}")


def _judge_functions(report: Report, catalogue: Catalogue) -> None:
    for function in catalogue.functions:
        what = f"{function.schema}.{function.name}"
        report.check("PUBLIC" not in function.callers, f"{what}: everybody may execute it")
        if not function.definer:
            continue
        callers = CALLERS.get(function.name) if function.schema == "doors" else None
        if callers is None:
            report.check(False, f"{what}: a SECURITY DEFINER function that is not a listed door")
            continue
        owner = roles.OWNER if function.name in OWNERS_DOORS else roles.DISPATCH
        report.check(function.owner == owner, f"{what}: belongs to {function.owner}, not to {owner}")
        report.check('search_path=""' in function.settings, f"{what}: its search_path is not empty")
        report.check(set(function.callers) == callers, f"{what}: may be called by {', '.join(function.callers)}")


def _judge_keys(report: Report, catalogue: Catalogue) -> None:
    tenant = {table.name for table in catalogue.tenant_tables}
    for key in catalogue.keys:
        if key.table in tenant and key.name not in GLOBAL_KEYS | DOOR_INDEXES:
            report.check(key.columns[:1] == ["client_id"], f"{key.name}: client_id is not its first column")
    for foreign in catalogue.foreign_keys:
        if foreign.table in tenant and foreign.name not in GLOBAL_FOREIGN_KEYS:
            pairs = list(zip(foreign.columns, foreign.target_columns, strict=True))
            report.check(("client_id", "client_id") in pairs, f"{foreign.name}: does not carry client_id")


async def judge_roles(connection: Connection) -> Report:
    """Check what the roles are, what they own and what they can become."""
    report = Report()
    for name in roles.NAMES:
        await _judge_role(report, connection, name)
    for login in roles.PROCESS_LOGINS:
        await _judge_login(report, connection, login)
    return report


async def _judge_role(report: Report, connection: Connection, name: str) -> None:
    cursor = await connection.execute(
        "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication, rolcanlogin"
        " FROM pg_roles WHERE rolname = %s",
        [name],
    )
    row = await cursor.fetchone()
    report.check(row is not None, f"{name}: there is no such role")
    if row:
        report.check(not row[0], f"{name}: is a superuser, bypasses row-level security or makes roles or databases")
        report.check(row[1] == (name in roles.LOGINS), f"{name}: may sign in: {row[1]}")


async def _judge_login(report: Report, connection: Connection, login: str) -> None:
    memberships = await _names(connection, _MEMBER_OF, login)
    allowed = {roles.APP, roles.OVERVIEW_GATE, roles.OVERVIEW} if login == roles.WEB else {roles.APP}
    report.check(set(memberships) <= allowed, f"{login}: is a member of {', '.join(memberships)}")
    held = await _names(connection, _HOLDS, login, list(_LOCKED_ROLES))
    report.check(not held, f"{login}: holds the rights of {', '.join(held)} without entering it")
    owned = await _names(connection, _OWNS, login)
    report.check(not owned, f"{login}: owns {', '.join(owned)}")
    makes = await _names(connection, _MAKES, login, login)
    report.check(not makes, f"{login}: may make objects in {', '.join(makes)}")


async def _names(connection: Connection, query: str, *values: object) -> list[str]:
    cursor = await connection.execute(query, values)
    return [row[0] for row in await cursor.fetchall()]


def _rules(policies: Iterable[Policy]) -> set[tuple[object, ...]]:
    return {(p.name, p.verb, p.permissive, tuple(p.roles), _plain(p.using), _plain(p.checked)) for p in policies}


def _same(found: str | None, rule: str) -> bool:
    return found is not None and _plain(found) == _plain(rule)


def _plain(expression: str | None) -> str:
    """An expression without what PostgreSQL adds when it prints one: brackets, casts of literals, aliases, schema."""
    text = re.sub(r"::text|\bpublic\.|\s+AS \"?\w+\"?", "", expression or "", flags=re.IGNORECASE)
    return re.sub(r"[\s()]", "", text).lower().removesuffix(";")


_MEMBER_OF = """
WITH RECURSIVE up AS (
    SELECT m.roleid FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = %s
    UNION SELECT m.roleid FROM pg_auth_members m JOIN up ON m.member = up.roleid)
SELECT pg_get_userbyid(roleid) FROM up ORDER BY 1"""
_HOLDS = """
SELECT g.rolname FROM pg_roles g, pg_roles r
 WHERE r.rolname = %s AND g.rolname = ANY (%s) AND pg_has_role(r.oid, g.oid, 'USAGE')"""
_OWNS = """
SELECT d.classid::regclass || ' ' || d.objid FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
 WHERE d.deptype = 'o' AND r.rolname = %s"""
_MAKES = """
SELECT 'schema ' || nspname FROM pg_namespace
 WHERE nspname NOT LIKE 'pg\\_%%' AND has_schema_privilege(%s, oid, 'CREATE')
UNION ALL
SELECT 'database ' || datname FROM pg_database
 WHERE datname = current_database() AND has_database_privilege(%s, oid, 'CREATE, TEMP')"""
